"""Committed records: readable, from a clean commit that is known, at the sizes of a preset, listed."""

import subprocess
from dataclasses import fields

import experiments
import pytest
import yaml

from lib import records
from lib.paths import DATA, PRESETS, ROOT, RUNS

PATHS = sorted(path for path in RUNS.glob("*/*.json") if path.name != "machine.json")

NONE = "not recorded yet"  # in a row of the README

every_record = pytest.mark.parametrize("path", PATHS, ids=lambda path: f"{path.parent.name}/{path.stem}")


def differences(record, presets=PRESETS):
    """Settings in which a record is not of the preset that it is nearest to; of what both tell, but for rounds."""
    experiment = experiments.of(record.experiment)
    settings = {one.name for one in fields(experiment.Settings)} - {"task", "seed", "runs", "warmup"}
    found = []
    for path in (presets / experiment.CHAPTER).glob("*.yml"):
        if path.stem != "smoke":
            preset = yaml.safe_load(path.read_text())
            shared = settings & set(preset) & set(record.parameters)
            found.append({key: preset[key] for key in shared if record.parameters[key] != preset[key]})
    return min(found, key=len)


def test_there_are_records():
    assert PATHS


@every_record
def test_a_record_can_be_trusted(path):
    record = records.read(path)
    assert (path.parent.name, path.stem) == (record.environment.machine, record.experiment)
    assert record.commit is not None
    assert not record.dirty
    assert (path.parent / "machine.json").exists()
    assert records.machine_title(record)


@every_record
def test_a_record_is_of_a_commit_that_is_known(path):
    if (
        subprocess.run(["git", "rev-parse", "--is-shallow-repository"], cwd=ROOT, capture_output=True, text=True).stdout
        != "false\n"
    ):
        pytest.skip("a shallow clone, or none: commits cannot be looked up; fetch the history")
    commit = records.read(path).commit
    assert subprocess.run(["git", "merge-base", "--is-ancestor", commit, "HEAD"], cwd=ROOT).returncode == 0


@every_record
def test_a_record_has_the_sizes_of_its_preset(path):
    assert differences(records.read(path)) == {}


def test_a_preset_that_was_changed_after_the_recording_is_noticed(tmp_path):
    record = records.read(next(path for path in PATHS if path.stem == "mrss_proxy"))
    (tmp_path / "mrss").mkdir()
    preset = yaml.safe_load((PRESETS / "mrss/cpu.yml").read_text())
    (tmp_path / "mrss/cpu.yml").write_text(yaml.safe_dump(preset | {"dim": 99}))
    assert differences(record, tmp_path) == {"dim": 99}


@every_record
def test_a_record_is_read_by_its_experiment(path):
    record = records.read(path)
    frame = experiments.of(record.experiment).frame([record])
    assert len(frame) >= len(record.cases)  # a row for each case, or for each of its checkpoints or tasks
    assert frame["variant"].nunique() == len({case.variant for case in record.cases})
    assert set(frame["part"]) <= set(experiments.of(record.experiment).PARTS)


def test_every_experiment_has_a_record_here_or_is_said_to_have_none():
    every = {name for one in experiments.ALL for name in experiments.names(one)}
    on_gpu = {name for one in experiments.ALL for name in experiments.on_gpu(one)}
    assert {path.stem for path in PATHS} <= every
    lines = (DATA / "README.md").read_text().splitlines()
    said = {name for name in every if any(f"| `{name}.json` |" in line and NONE in line for line in lines)}
    assert said == every - on_gpu - {path.stem for path in PATHS}


@pytest.mark.parametrize("one", experiments.ALL, ids=lambda one: one.__name__.rpartition(".")[2])
def test_an_experiment_is_complete(one):
    assert all(hasattr(one, name) for name in ("NAME", "CHAPTER", "PARTS", "Settings", "run", "frame", "main"))
    assert (PRESETS / one.CHAPTER).is_dir()


def test_every_record_is_listed():
    text = (DATA / "README.md").read_text()
    assert [path.stem for path in PATHS if f"| `{path.stem}.json` |" not in text] == []
