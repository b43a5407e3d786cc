"""The field's words, in all that readers read: what is kept out, and what to say in its place."""

import json
import re

import pytest

from lib.paths import BOOK, ROOT

KEPT_OUT = {  # pattern -> what to say
    r"slow clocks?|rate of news": "temporal resolution, low-rate branch, lag",
    r"untouched": "unreduced; the original model",
    r"heal(?:s|ed)": "distillation fine-tuning",
    r"as many (?:weights|operations)": "the same number of parameters; equal compute",
    r"left of (?:the|its|their) accurac(?:y|ies)": "retained accuracy",
    r"plugs|motions": "a data set's own name",
    r"twins?|told|asked|heard": "what it is",
    r"the seed's|seed report": "the original report",
}
PATTERN = re.compile(rf"\b(?:{'|'.join(KEPT_OUT)})\b", re.IGNORECASE)
NO_PROSE = re.compile(r"```.*?```|`[^`]*`|\]\([^)]*\)|\{\{.*?\}\}|\{%.*?%\}|<[^>]*>", re.DOTALL)
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *BOOK.glob("*.md"), *BOOK.glob("_text/*/*.md")])
NOTEBOOKS = sorted(BOOK.glob("*.ipynb"))


def found(text):
    """Words that are kept out, each with what stands around it; code, addresses and expressions are no prose."""
    text = NO_PROSE.sub("", text)
    return [text[max(0, one.start() - 40) : one.end() + 40].replace("\n", " ") for one in PATTERN.finditer(text)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: f"{page.parent.name}/{page.name}")
def test_a_page_is_in_the_fields_words(page):
    assert found(page.read_text()) == []


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda notebook: notebook.stem)
def test_a_chapter_is_in_the_fields_words(notebook):
    cells = [cell for cell in json.loads(notebook.read_text())["cells"] if cell["cell_type"] == "markdown"]
    assert [one for cell in cells for one in found("".join(cell["source"]))] == []


@pytest.mark.parametrize(
    "word", ["A slow clock", "it was untouched.", "Of two twins", "seed report", "nothing is told"]
)
def test_a_word_is_found(word):
    assert len(found(f"Here. {word} and `told` [there](told.md) {{{{ told }}}} retold")) == 1
