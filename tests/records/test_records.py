import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from lib import records
from lib.paths import ROOT, RUNS
from lib.profilers import clocks
from lib.profilers.profile import Profile
from lib.records import Case, RecordError


def a_record(error=None, experiment="toy", **cases):
    result = Profile(error=error) if error else Profile(seconds=[0.1, 0.2], peak_bytes=8, flops=16)
    return records.new(experiment, [Case.of("baseline", result, factor=None, **cases)], seed=3, parameters={"r": 4})


@pytest.fixture(autouse=True)
def nothing_stays_behind(tmp_path_factory, monkeypatch):
    """What a record's place does not take is kept in a temporary folder: here in the test's own."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path_factory.mktemp("elsewhere")))


@pytest.fixture
def path(tmp_path):
    return records.write(a_record(), tmp_path)


def test_what_is_written_is_read_back(tmp_path):
    record = a_record()
    path = records.write(record, tmp_path)
    assert path == tmp_path / record.environment.machine / "toy.json"
    assert records.read(path) == record


@pytest.mark.slow
@pytest.mark.parametrize(("told", "place"), [("", str(RUNS)), ("/elsewhere", "/elsewhere")])
def test_a_run_can_be_told_to_leave_its_record_elsewhere(told, place):
    code = "from lib import records; print(records.write.__defaults__[0])"
    environment = os.environ | {"RECORDS_TO": told}
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.stdout == f"{place}\n"


def test_a_machine_met_for_the_first_time_gets_a_name_that_later_runs_leave_alone(tmp_path, path):
    machine = path.parent / "machine.json"
    assert json.loads(machine.read_text())["title"] == records.title(a_record().environment)
    machine.write_text('{"title": "The old laptop", "note": ""}')
    records.write(a_record(), tmp_path)
    assert records.machine_title(records.read(path), tmp_path) == "The old laptop"


def test_a_record_tells_where_it_comes_from(path):
    record = records.read(path)
    assert record.recorded_at.utcoffset().total_seconds() == 0
    assert record.environment.packages["torch"]
    assert record.environment.threads >= 1


def test_what_trainings_left_is_read_back_by_seed(tmp_path):
    losses = {0: [2.0, 1.0], 3: [2.5]}
    case = Case(variant="low", parameters={"steps": 40}, seconds=[3, 2], accuracies={0: 0.5, 3: 0.75}, losses=losses)
    record = records.new("trained", [case], seed=0, parameters={})
    assert records.read(records.write(record, tmp_path)).cases == [case]


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda text: text[: len(text) // 2], "not readable as JSON"),
        (lambda text: "", "not readable as JSON"),
        (lambda text: "[1, 2]", "the whole file"),
        (lambda text: text.replace('"seed"', '"sead"'), "seed: Field required"),
        (lambda text: text.replace('"schema_version": 1', '"schema_version": 2'), "schema_version 2 is newer than 1"),
        (lambda text: text.replace('"peak_bytes": 8', '"peak_bytes": -8'), "cases.0.peak_bytes"),
    ],
)
def test_a_broken_file_is_named_with_its_field_and_never_overwritten(path, tmp_path, change, complaint):
    broken = change(path.read_text())
    path.write_text(broken)
    for touch in (lambda: records.read(path), lambda: records.write(a_record(), tmp_path)):
        with pytest.raises(RecordError, match=complaint) as caught:
            touch()
        assert str(path) in str(caught.value)
    assert path.read_text() == broken


def test_a_failed_run_never_overwrites_a_result(path, tmp_path):
    before = path.read_text()
    with pytest.raises(RecordError, match=r"not overwritten.*out of memory"):
        records.write(a_record(error="out of memory: all of it"), tmp_path)
    assert path.read_text() == before


def test_a_failed_case_is_a_result_where_nothing_better_is_known(tmp_path):
    path = records.write(a_record(error="out of memory: all of it"), tmp_path)
    assert records.read(path).cases[0].error.startswith("out of memory")
    records.write(a_record(), tmp_path)
    assert records.read(path).cases[0].error is None


def test_nothing_is_left_beside_a_record(path):
    assert {file.name for file in path.parent.iterdir()} == {"toy.json", "machine.json"}


def test_a_write_that_breaks_off_leaves_the_old_record_and_says_where_the_new_one_is(path, tmp_path, monkeypatch):
    before, new = path.read_text(), a_record()
    monkeypatch.setattr("pathlib.Path.replace", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full; what was measured is in ") as caught:
        records.write(new, tmp_path)
    assert path.read_text() == before
    (kept,) = [Path(word) for word in str(caught.value).split() if word.startswith("/") and word.endswith("toy.json")]
    assert json.loads(kept.read_text()) == json.loads(new.model_dump_json())
    assert kept.parent.stat().st_mode & 0o777 == 0o700
    assert {file.name for file in path.parent.iterdir()} == {"toy.json", "machine.json"}


def test_a_gpus_clock_and_what_the_host_took_are_read_back(tmp_path):
    result = Profile([0.1, 0.2], 8, 16, host_seconds=[0.3, 0.4], clock=clocks.EVENTS)
    record = records.new("timed", [Case.of("fast", result)], seed=0, parameters={})
    (case,) = records.read(records.write(record, tmp_path)).cases
    assert (case.seconds, case.host_seconds, case.clock) == ([0.1, 0.2], [0.3, 0.4], clocks.EVENTS)


def test_a_file_from_before_there_were_clocks_is_read(path):
    held = json.loads(path.read_text())
    for case in held["cases"]:
        del case["clock"], case["host_seconds"]
    path.write_text(json.dumps(held))
    assert records.read(path).cases[0].clock is None


def test_an_experiments_name_is_a_file_name():
    with pytest.raises(ValueError, match="experiment"):
        a_record(experiment="../toy")
