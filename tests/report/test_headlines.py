"""Headlines follow the records, and the picture follows the headlines."""

import json
import shutil

import pytest
from matplotlib.figure import Figure

from lib.paths import RUNS
from lib.report import headlines
from lib.report.evidence import Evidence
from lib.report.figures import claims as draw
from lib.report.frames import Missing


@pytest.fixture(scope="module")
def found():
    return headlines.headlines(Evidence())


def test_what_was_proposed_is_hollow_and_what_was_reached_is_filled(found):
    ax = draw.proposed_and_reached(Figure().subplots(), found)
    points = [line for line in ax.lines if line.get_marker() == "o"]
    hollow = [float(line.get_xdata()[0]) for line in points if line.get_fillstyle() == "none"]
    assert hollow == [one.proposed.ratio for one in found if one.proposed]
    assert len(points) - len(hollow) == len(found)


def test_every_headline_has_a_chapter_and_records(found):
    assert len({one.chapter for one in found}) == len(found) == 4
    assert all(one.records for one in found)


def test_without_records_there_are_no_headlines(tmp_path):
    with pytest.raises(Missing, match="there is no record of scan"):
        headlines.headlines(Evidence(runs=tmp_path))


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
