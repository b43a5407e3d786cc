"""The printed book: complete, in vectors, without an empty page or a heading left behind."""

import re
import unicodedata

import pdf
import pytest
import yaml
from pypdf import PdfReader

from lib.paths import ROOT


@pytest.fixture(scope="module")
def book():
    return PdfReader(pdf.PDF)


@pytest.fixture(scope="module")
def texts(book):
    return [unicodedata.normalize("NFKC", page.extract_text()) for page in book.pages]


def outline(entries, depth=1):
    for entry in entries:
        if isinstance(entry, list):
            yield from outline(entry, depth + 1)
        else:
            yield depth, entry


def pictures(holder):
    """Images of a page or of a form on it, as they are: to decode them takes minutes."""
    for one in holder.get("/Resources", {}).get("/XObject", {}).values():
        held = one.get_object()
        if held["/Subtype"] == "/Image":
            yield held
        else:
            yield from pictures(held)


def test_it_is_a4_and_named(book):
    config = yaml.safe_load((ROOT / "_config.yml").read_text())
    assert {(round(page.mediabox.width), round(page.mediabox.height)) for page in book.pages} == {(595, 842)}
    assert (book.metadata.title, book.metadata.author) == (config["title"], config["author"])


def test_no_page_is_empty(texts):
    assert min(len(text.split()) for text in texts) > 8


def test_the_table_of_contents_tells_the_right_pages(book, texts):
    listed = re.findall(r"^(.+?)\s*(\d+)$", texts[1], re.MULTILINE)
    found = [(entry.title, book.get_destination_page_number(entry) + 1) for _, entry in outline(book.outline)]
    assert len(listed) > 10
    assert {(title, int(page)) for title, page in listed} <= set(found)  # chapters share some titles
    assert [int(page) for _, page in listed] == sorted(int(page) for _, page in listed)


def test_pages_are_numbered(texts):
    unnumbered = [number for number, text in enumerate(texts, 1) if str(number) not in text.splitlines()]
    assert unnumbered == [1]


def test_figures_are_vectors_but_for_the_small_pictures_in_them(book):
    # No figure is as small as that; photographs and scenes, one by one, are.
    rasters = [one for page in book.pages for one in pictures(page)]
    assert rasters
    assert max(max(one["/Width"], one["/Height"]) for one in rasters) < 256


def test_no_heading_is_left_at_the_foot_of_a_page(book, texts):
    titles = {entry.title for _, entry in outline(book.outline)}
    for number, text in enumerate(texts[2:], 3):
        lines = [line.strip() for line in text.splitlines() if line.strip() and line.strip() != str(number)]
        assert lines[-1] not in titles, f"page {number} ends with {lines[-1]!r}"


def test_nothing_raw_is_printed(texts):
    everything = "\n".join(texts)
    for raw in ("{glue}", "{cite", "\\begin", "VBox(", "Show code cell", "Toggle"):
        assert raw not in everything
