"""Headline numbers on README and intro are those of the records."""

import json
import shutil
from xml.etree import ElementTree

import pytest
from matplotlib.figure import Figure
from PIL import Image

from lib.paths import RUNS
from lib.report import headlines
from lib.report.evidence import Evidence, Missing


@pytest.fixture(scope="module")
def found():
    return headlines.headlines(Evidence())


@pytest.mark.parametrize("page", headlines.PAGES, ids=lambda page: page.name)
def test_a_page_says_what_the_records_say(page, found):
    assert page.read_text() == headlines.filled(page, found, Evidence()), "python -m lib.report.headlines mends it"


def test_the_picture_shows_what_the_records_say(found, tmp_path):
    headlines.draw(found, tmp_path / "again")
    for picture in (headlines.PICTURE, tmp_path / "again"):
        with Image.open(picture.with_suffix(".png")) as image:
            assert image.text["Description"] == headlines.told(found), "python -m lib.report.headlines mends it"
        drawing = ElementTree.parse(picture.with_suffix(".svg"))
        said = drawing.find(".//{http://purl.org/dc/elements/1.1/}description")
        assert said.text == headlines.told(found), "python -m lib.report.headlines mends it"


def test_what_was_proposed_is_hollow_and_what_was_reached_is_filled(found):
    ax = headlines.proposed_and_reached(Figure().subplots(), found)
    points = [line for line in ax.lines if line.get_marker() == "o"]
    hollow = [float(line.get_xdata()[0]) for line in points if line.get_fillstyle() == "none"]
    assert hollow == [one.proposed.ratio for one in found if one.proposed]
    assert len(points) - len(hollow) == len(found)


def test_every_headline_has_a_chapter_and_records(found):
    assert len({one.chapter for one in found}) == len(found) == 4
    assert all(one.records for one in found)


def test_without_records_there_are_no_headlines(tmp_path):
    with pytest.raises(Missing, match="no machine has a record of scan"):
        headlines.headlines(Evidence(runs=tmp_path))


def test_a_page_without_marks_is_refused(tmp_path, monkeypatch, found):
    page = tmp_path / "README.md"
    page.write_text("nothing")
    monkeypatch.setitem(headlines.PAGES, page, ("{}", "{}"))
    with pytest.raises(ValueError, match=r"README\.md: no line"):
        headlines.filled(page, found, Evidence())


def test_a_second_machine_changes_no_headline(tmp_path, found):
    machine = RUNS / "amd-epyc-2-cores"
    shutil.copytree(machine, tmp_path / machine.name)
    shutil.copytree(machine, tmp_path / "second")
    for path in (tmp_path / "second").glob("*.json"):
        if path.name != "machine.json":
            record = json.loads(path.read_text())
            record["environment"]["machine"] = "second"
            path.write_text(json.dumps(record))
    assert headlines.headlines(Evidence(runs=tmp_path)) == found
