"""README and intro say and show what the records say."""

from dataclasses import replace
from xml.etree import ElementTree

import pytest
from PIL import Image

from lib import names
from lib.report import first_pages, take_aways
from lib.report.evidence import Evidence
from lib.report.figures import headlines as drawn
from lib.report.figures import keys


def description(drawing):
    """What a drawing says of itself."""
    return ElementTree.parse(drawing).find(".//{http://purl.org/dc/elements/1.1/}description").text


@pytest.mark.parametrize("page", first_pages.PAGES, ids=lambda page: page.name)
def test_a_page_says_what_the_records_say(page, found):
    assert page.read_text() == first_pages.filled(page, found, Evidence()), "python -m lib.report.first_pages mends it"


def test_chapters_say_what_to_take_away(found):
    pages = take_aways.pages(found, Evidence())
    assert {page.stem for page in pages} == set(names.CHAPTERS) - {"claims"}
    for page, said in pages.items():
        assert page.read_text() == take_aways.filled(page, said), "python -m lib.report.first_pages mends it"


@pytest.mark.parametrize("chapter", keys.KEYS)
def test_a_key_picture_shows_what_the_records_say(chapter, tmp_path):
    take_aways.draw(chapter, Evidence(), tmp_path)
    for picture in (take_aways.place(chapter), take_aways.place(chapter, tmp_path)):
        said = keys.described(chapter, Evidence())
        assert description(picture) == said, "python -m lib.report.first_pages mends it"
        assert "nan" not in said


def test_what_to_take_away_follows_the_numbers(found):
    (one,) = [one for one in found if one.chapter == "lora"]
    for low, high, said in (
        (0.01, 0.03, "surely more"),
        (-0.02, 0.03, "level with"),
        (-0.03, -0.01, "surely less"),
    ):
        accuracy = replace(one.measured["accuracy"], low=low, high=high)
        changed = replace(one, measured={**one.measured, "accuracy": accuracy})
        assert f"they are {said}" in take_aways.written(changed, Evidence())


def test_a_notebook_without_the_cell_is_refused(tmp_path):
    page = tmp_path / "mrss.ipynb"
    page.write_text('{"cells": []}')
    with pytest.raises(ValueError, match=r"mrss\.ipynb: 0 cells of the id 'take-aways'"):
        take_aways.filled(page, "words")


def test_the_picture_shows_what_the_records_say(found, tmp_path):
    first_pages.draw(found, tmp_path / "again")
    for picture in (first_pages.PICTURE, tmp_path / "again"):
        with Image.open(picture.with_suffix(".png")) as image:
            assert image.text["Description"] == drawn.described(found), "python -m lib.report.first_pages mends it"
        said = description(picture.with_suffix(".svg"))
        assert said == drawn.described(found), "python -m lib.report.first_pages mends it"


@pytest.mark.parametrize("page", first_pages.PAGES, ids=lambda page: page.name)
def test_the_text_alternative_says_every_number_of_the_picture(page, found):
    shown = first_pages.picture(page, found)
    points = [point for one in found for point in (one.reached, one.proposed) if point]
    assert [point for point in points if str(point) not in shown] == []
    assert shown in page.read_text()


def test_a_quote_ends_no_text_alternative(found):
    quoted = [replace(found[0], reached=replace(found[0].reached, words='an "other\'s" one'))]
    for page in first_pages.PAGES:
        assert "other’s” one" in first_pages.picture(page, quoted)


def test_a_page_without_marks_is_refused(tmp_path, monkeypatch, found):
    page = tmp_path / "README.md"
    page.write_text("nothing")
    monkeypatch.setitem(first_pages.PAGES, page, ("{}", "{}"))
    with pytest.raises(ValueError, match=r"README\.md: no line"):
        first_pages.filled(page, found, Evidence())


def test_without_records_nothing_is_written_and_one_line_says_why(tmp_path, monkeypatch):
    page = tmp_path / "README.md"
    page.write_text("as it was")
    monkeypatch.setattr(first_pages, "Evidence", lambda: Evidence(runs=tmp_path))
    monkeypatch.setattr(first_pages, "PAGES", {page: ("{}", "{}")})
    with pytest.raises(SystemExit, match="there is no record of scan, and no machine is recorded: nothing is written"):
        first_pages.main()
    assert page.read_text() == "as it was"
