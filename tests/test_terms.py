"""The glossary's words: each has a sentence, stands somewhere in the book, and is linked where it stands first."""

from types import SimpleNamespace

import pytest
import terms
from docutils import nodes
from docutils.utils import new_document

from lib.paths import BOOK, ROOT
from lib.report.prose import TEXTS

ENTRIES = terms.entries((BOOK / "glossary.md").read_text())
PAGES = [*BOOK.glob("*.ipynb"), *TEXTS.rglob("*.md"), *(BOOK / name for name in ("intro.md", "notation.md"))]


def page(*children, name="book/mrss", builder="html", pages=(terms.PAGE,)):
    """A page of these paragraphs, in a book that has these pages too, after its words were linked."""
    found = new_document("page")
    for child in children:
        found += nodes.paragraph("", "", *child) if isinstance(child, list) else child
    made = SimpleNamespace(name=builder, get_relative_uri=lambda _, to: f"{to.rpartition('/')[2]}.html")
    app = SimpleNamespace(builder=made, srcdir=ROOT, env=SimpleNamespace(found_docs={name, *pages}))
    terms.link_first_mentions(app, found, name)
    return found


def links(found):
    return {one.astext(): one["refuri"] for one in found.findall(nodes.reference) if "term" in one["classes"]}


def test_twenty_words_have_a_sentence_each():
    assert len(ENTRIES) >= 20
    assert [word for word, said in ENTRIES.items() if not said.endswith(".")] == []


@pytest.mark.parametrize("word", ENTRIES)
def test_a_word_stands_in_the_book(word):
    assert [path.name for path in PAGES if terms._mention(word).search(path.read_text())], "nobody needs it"


def test_the_first_mention_alone_is_linked():
    found = page([nodes.Text("A patch, then Patches.")], [nodes.Text("One more patch.")])
    assert links(found) == {"patch": "glossary.html#term-patch"}
    assert found.astext() == "A patch, then Patches.\n\nOne more patch."
    (link,) = found.findall(nodes.reference)
    assert link["reftitle"] == ENTRIES["patch"]


def test_a_book_without_a_glossary_links_nothing():
    assert links(page([nodes.Text("A patch.")], pages=())) == {}


def test_several_words_of_one_text_are_linked_in_their_order():
    found = page([nodes.Text("Selective scans of patches, and S4D, not s4d.")])
    assert [*links(found)] == ["Selective scans", "patches", "S4D"]
    assert [*links(found).values()] == [f"glossary.html#term-{word}" for word in ("selective-scan", "patch", "S4D")]


@pytest.mark.parametrize(
    "around", [nodes.literal, nodes.reference, nodes.title, nodes.math], ids=lambda kind: kind.__name__
)
def test_what_is_no_prose_is_left_as_it_is(around):
    assert links(page([around("", "patch")])) == {}


@pytest.mark.parametrize("where", [{"name": "book/glossary"}, {"builder": "singlehtml"}, {"builder": "latex"}])
def test_the_glossary_itself_and_paper_have_no_links(where):
    assert links(page([nodes.Text("A patch.")], **where)) == {}
