"""A paragraph of the book holds few numbers, whatever template, page or cell it stands in."""

import json

import density
import pytest
import rendered

from lib import names
from lib.paths import BOOK, ROOT

PAGES = [ROOT / "README.md", *sorted(BOOK.glob("*.md"))]
NOTEBOOKS = sorted(BOOK.glob("*.ipynb"))

every_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


@pytest.mark.slow
@pytest.mark.parametrize("chapter", names.CHAPTERS)
def test_a_paragraph_of_a_template_can_be_read(chapter):
    texts = rendered.texts(chapter).items()
    assert [one for name, text in texts for one in density.complaints(f"{chapter}/{name}", text)] == []


@every_notebook
def test_a_paragraph_of_a_cell_can_be_read(path):
    cells = [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == "markdown"]
    named = [(f"{path.stem}, cell {cell['id']}", "".join(cell["source"])) for cell in cells]
    assert [one for name, text in named for one in density.complaints(name, text)] == []


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_a_paragraph_of_a_page_can_be_read(path):
    assert density.complaints(path.name, path.read_text()) == []


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("It takes 0.53× the time, **+9.4 %**, −3.1 points, 12 ms, 1,024 tokens", 5),
        ("98.8 ± 1.7 % and 9.7 [2.3, 17.2]", 5),
        ("2 × 10⁻⁷ of it, 1/8 of it, 12-fold, all 5", 4),
        ("1. ViT-B/32 on CIFAR-10, S4D and `x2`, $T = 64$, r = 4, float32, a T4, 2-core, Mamba-2", 0),
        ("Tables 1, 2 and 13, Figure 4, equation (3), section 4.2, as in (Gu and Dao, 2023)", 0),
        ("*hybrid 1 + 3, r = 8* with 95 % intervals on CIFAR-10, 2 x 2 patches (torch 2.13)", 0),
        ("95 % of it, 4 % of the operations at 224 pixels", 3),
        ("$T = 64$ then 8 and $r = 3$ then 9", 2),
    ],
)
def test_quantities_are_counted_and_names_are_not(text, numbers):
    assert len(density.numbers(text)) == numbers


def test_paragraphs_and_items_are_counted_apart():
    text = "> One\n> more.\n\n- Two\n  of it\n- Three\n  - Four\n\n```\nfive\n```\n\n| 6 |\n\n# Seven\n\nEight ![9](9)"
    assert density.paragraphs(text) == ["One more.", "- Two of it", "- Three", "- Four", "Eight"]


def test_what_is_folded_is_left_out():
    assert density.paragraphs("One\n\n<details>\n\ntwo\n\n</details>\n\nthree") == ["One", "three"]


def test_a_crowded_paragraph_is_named_with_its_first_words():
    text = "None here.\n\n**Six.** Of 1, 2 and 3 there are 4, 5 and 6."
    assert density.complaints("mrss/discussion", text) == [
        "mrss/discussion: 6 numbers where at most 5 can be read: '**Six.** Of 1, 2 and 3 there are 4, 5 and 6.'"
    ]
    assert density.complaints("mrss/discussion", text.replace(" and 6", "")) == []


def test_a_column_without_a_header_is_found():
    text = "| | a |\n|:--|--:|\n| b | |\n"
    assert density.complaints("lora/shots", text) == ["lora/shots: a column without a header: '| | a |'"]
    assert density.complaints("lora/shots", text.replace("| | a", "| c | a")) == []


def test_a_table_in_words_is_found():
    text = "It is +1.0 ± 2.0 (a), −1.2 [−2.7, +0.6] % (b) and 98.8 ± 1.7 % (c)."
    assert any("are a table: 'It is +1.0 ± 2.0" in one for one in density.complaints("lora/shots", text))
    assert density.tabular("lora/shots", text.replace("(b) and", "(b). And")) == []
