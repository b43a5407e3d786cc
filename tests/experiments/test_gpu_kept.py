"""What is kept of the jobs: what a power cut or another program left of it counts as not there, and is named."""

import json

import pytest
import toy_jobs

from lib.experiments.gpu import command, summary
from lib.experiments.gpu.kept import DONE, Kept, Place

pytestmark = pytest.mark.slow

CASES = '{"cases": [{"variant": "a", "parameters": {"part": "p"}, "seconds": [1.0]}]}'


@pytest.fixture
def place(tmp_path):
    """A place with one finished job."""
    made = Place(tmp_path / "a reader's café", "machine")
    made.record("first").parent.mkdir(parents=True)
    made.record("first").write_text(CASES)
    made.keep("first", Kept("stamp", DONE, 2.0))
    return made


def test_a_finished_job_is_known_by_its_stamp_and_its_record(place):
    assert place.finished("first", "stamp").seconds == 2
    assert place.finished("first", "other") is None
    assert place.finished("second", "stamp") is None
    assert place.broken("first") is None


BROKEN = ["", "{", "null", "[1]", "7", '"done"', "{}", CASES[: len(CASES) // 2], "\0" * 100]


@pytest.mark.parametrize("content", [*BROKEN, '{"stamp": "stamp", "state": "done"}'])
@pytest.mark.parametrize("more", ["", '{"stamp": 1, "state": "done", "seconds": 2}'])
def test_what_is_known_of_a_job_and_cannot_be_read_counts_as_not_there(place, content, more):
    file = place.rest / "jobs/first.json"
    file.write_text(more or content)
    assert place.known("first") is None
    assert place.finished("first", "stamp") is None
    assert place.broken("first") == file


@pytest.mark.parametrize(
    "wrong", [{"seconds": "2"}, {"seconds": -1}, {"seconds": float("nan")}, {"state": None}, {"stamp": 1}, {"extra": 1}]
)
def test_fields_of_another_kind_count_as_not_there(place, wrong):
    held = {"stamp": "stamp", "state": DONE, "seconds": 2.0, "digest": ""}
    (place.rest / "jobs/first.json").write_text(json.dumps(held | wrong))
    assert place.known("first") is None


@pytest.mark.parametrize("content", BROKEN)
def test_a_record_that_was_not_written_out_is_measured_anew(place, content):
    place.record("first").write_text(content)
    assert place.finished("first", "stamp") is None
    assert place.broken("first") == place.record("first")
    assert summary.table({"first": Kept("stamp", DONE, 2.0)}, place).splitlines()[1].split()[2] == "0"


def test_a_record_of_other_content_is_measured_anew(place):
    place.record("first").write_text(CASES.replace("1.0", "2.0"))
    assert place.finished("first", "stamp") is None


@pytest.mark.parametrize("broken", ["jobs", "record"])
def test_the_command_names_what_is_broken_once_and_measures_it_anew(tmp_path, capsys, broken):
    out, count = tmp_path / "out", tmp_path / "count"

    def go():
        given = ["--device", "cpu", "--preset", "smoke", "--out", str(out)]
        code = command.main(given, toy_jobs.jobs(count, first="well"))
        return code, capsys.readouterr().out

    assert go()[0] == 0
    (folder,) = [path.parent for path in out.glob("*/machine.json")]
    file = folder / "first.json" if broken == "record" else out / "rest" / folder.name / "jobs/first.json"
    file.write_text(file.read_text()[:20])
    code, said = go()
    assert code == 0
    assert f"{file}: not readable; first is measured anew" in said
    code, said = go()
    assert "not readable" not in said
    assert count.read_text().split() == ["first"] * 2
