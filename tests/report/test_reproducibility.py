"""What the checklist counts is what a reader counts."""

import pytest

from lib.paths import BOOK
from lib.report import reproducibility

PAGES = sorted(BOOK.glob("*.ipynb"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_figures_of_a_chapter_are_numbered_from_one_on(page):
    found = reproducibility.figures(page.read_text())
    assert found == set(range(1, len(found) + 1))


def test_the_checklist_counts_captions():
    assert reproducibility.figures('"Figure 1. Seen"\n"Figure 2. Too"\nas in Figure 2. It') == {1, 2}
    rows = reproducibility.checklist().set_index("item")
    total = sum(len(reproducibility.figures(page.read_text())) for page in PAGES)
    assert f"drawn when a page is built: {total};" in rows.loc["Figures can be made again", "evidence"]
