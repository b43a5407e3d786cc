"""Every page, wide and narrow, light and dark, without network."""

import json

import pytest
from built import HTML, PAGES, TOOLS

from lib.report.figures import keys
from lib.report.figures.keys.looks import LETTERS

AXE = (TOOLS / "axe-core" / "axe.min.js").read_text()

# What the theme does and we do not mend, by axe's rule, with the reason.
THEME = {
    "aria-allowed-role": "docutils gives bibliography entries the roles of digital publishing",
    "aria-deprecated-role": "the same entries",
    "aria-required-children": "the list that holds these entries",
    "label-content-name-mismatch": "the theme's search and scheme buttons, MyST-NB's toggles of folded code",
    "landmark-complementary-is-top-level": "the theme nests its sidebars in its main layout",
    "landmark-unique": "the theme names two navigation landmarks alike",
    "landmark-no-duplicate-main": "the theme's article and its layout are both main",
    "region": "the theme's toggles lie outside landmarks",
}

every_page = pytest.mark.parametrize("path", PAGES)
every_look = pytest.mark.parametrize(("width", "scheme"), [(w, s) for w in (1280, 390) for s in ("light", "dark")])


def test_the_book_is_built():
    assert "book/mrss.html" in PAGES


@every_page
@every_look
def test_a_page_needs_nothing_from_outside_and_reports_no_error(look, path, width, scheme):
    seen = look(path, width, scheme)
    assert (seen.external, seen.failed, seen.errors) == ([], [], [])
    assert seen.page.locator("html").get_attribute("data-theme") == scheme


@every_page
def test_math_is_typeset(look, path):
    page = look(path).page
    asked = page.locator(".math").count()
    assert page.locator("mjx-container").count() >= asked
    assert page.locator("mjx-merror").count() == 0
    assert "\\begin" not in page.locator("article").inner_text()


@every_page
@pytest.mark.parametrize("width", [1280, 390])
def test_a_page_does_not_scroll_sideways(look, path, width):
    page = look(path, width).page
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("path", [f"book/{chapter}.html" for chapter in keys.KEYS])
def test_a_chapter_begins_with_its_picture(look, path):
    """A reader on a desktop sees a figure without scrolling far; on a phone its letters are readable."""
    page = look(path, 1280).page
    page.locator("article img[src*='key_']").scroll_into_view_if_needed()
    box = page.evaluate(
        """() => { const it = document.querySelector("article img[src*='key_']");
        const box = it.getBoundingClientRect(), top = document.querySelector("article").getBoundingClientRect().top;
        return { top: box.top - top, width: box.width, natural: it.naturalWidth, alt: it.alt } }"""
    )
    assert box["top"] < 1200
    assert box["width"] > 400
    assert len(box["alt"]) > 40
    narrow = look(path, 390).page.locator("article img[src*='key_']").bounding_box()
    assert narrow["width"] * LETTERS / (72 * keys.SIZE[0]) > 11  # pixels


@every_page
def test_a_wide_equation_can_be_read_from_its_beginning(look, path):
    cut = look(path, 390).page.evaluate(
        """[...document.querySelectorAll('div.math')]
        .filter(e => e.firstElementChild.getBoundingClientRect().left < e.getBoundingClientRect().left - 1
                     || e.scrollWidth > e.clientWidth && getComputedStyle(e).overflowX != 'auto')
        .map(e => e.id)"""
    )
    assert cut == []


@every_page
def test_code_fits_the_text(look, path):
    wide = look(path, 1280).page.evaluate(
        """[...document.querySelectorAll('article pre')]
        .filter(e => e.checkVisibility() && e.scrollWidth > e.clientWidth + 1).map(e => e.innerText)"""
    )
    assert wide == []


@every_page
@every_look
def test_axe_finds_no_violation_of_ours(look, path, width, scheme):
    page = look(path, width, scheme).page
    page.evaluate(AXE)
    # Without preload: style sheets cannot be fetched again from a file's address.
    found = page.evaluate("axe.run(document, { resultTypes: ['violations'], preload: false })")["violations"]
    ours = {one["id"]: [node["html"][:200] for node in one["nodes"]] for one in found if one["id"] not in THEME}
    assert ours == {}, json.dumps(ours, indent=1)


def test_axe_can_find_a_violation(visit):
    page = visit("book/intro.html").page
    page.evaluate("document.querySelector('article').insertAdjacentHTML('beforeend', '<img src=\"data:,\">')")
    page.evaluate(AXE)
    found = page.evaluate("axe.run(document)")["violations"]
    assert "image-alt" in {one["id"] for one in found}


def test_the_first_page_leads_into_the_book():
    assert "book/intro.html" in (HTML / "index.html").read_text()
