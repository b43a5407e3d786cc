"""A badge stands in the notebook and not on the page."""

import badges
import nbformat
import pytest
import yaml
from docutils import nodes
from docutils.frontend import get_default_settings
from docutils.utils import new_document
from myst_parser.docutils_ import Parser

from lib.paths import BOOK, ROOT

PICTURE = "https://colab.research.google.com/assets/colab-badge.svg"
BADGE = f"[![Open in Colab]({PICTURE})](https://colab.research.google.com/github/a/b)"


def page(text):
    """What is left of a page, by kind of node."""
    document = new_document("page", get_default_settings(Parser))
    Parser().parse(text, document)
    badges.leave_out_badges(None, document)
    return document


def test_a_badge_leaves_nothing_behind():
    assert len(page(f"# A chapter\n\n{BADGE}").children) == len(page("# A chapter").children)


@pytest.mark.parametrize("notebook", sorted(BOOK.glob("*.ipynb")), ids=lambda path: path.stem)
def test_of_a_chapters_first_cell_the_title_is_left(notebook):
    first = nbformat.read(notebook, as_version=4).cells[0].source
    assert PICTURE in first
    assert [type(node) for node in page(first).findall(nodes.TextElement)] == [nodes.title]


def test_words_beside_a_badge_stay():
    assert page(f"{BADGE} and *words*").astext().strip() == "and words"


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("![a figure](figure.svg)", nodes.image),
        ("[![a figure](figure.svg)](https://example.org)", nodes.image),
        ("[open it](https://colab.research.google.com/github/a/b)", nodes.reference),
    ],
)
def test_other_pictures_and_links_stay(text, kind):
    assert list(page(text).findall(kind))


def test_the_book_is_built_with_it():
    extensions = yaml.safe_load((ROOT / "_config.yml").read_text())["sphinx"]["local_extensions"]
    assert extensions["badges"] == "book/_ext"
