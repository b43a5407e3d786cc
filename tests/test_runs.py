"""Committed records: readable, from a clean commit that is known, at the sizes of a preset, listed."""

import subprocess

import pytest
import yaml

from lib import records
from lib.paths import DATA, PRESETS, ROOT, RUNS

PATHS = sorted(path for path in RUNS.glob("*/*.json") if path.name != "machine.json")
CHAPTERS = {
    "ssm_": "ssm_background",
    "mrss_": "mrss",
    "distillation": "kernel_distillation",
    "clip_": "clip_vtp",
    "lora_": "lora",
}
HERE = {"record", "retrain", "task"}  # of a preset: what to do, not at which sizes
TIMED = {"distillation_": {"longest"}}  # sizes of what is timed, which trainings of this name do not do

every_record = pytest.mark.parametrize("path", PATHS, ids=lambda path: f"{path.parent.name}/{path.stem}")


def chapter(experiment):
    found = [name for front, name in CHAPTERS.items() if experiment.startswith(front)]
    return found[0] if found else None


def differences(record, presets=PRESETS):
    """Parameters in which a record is not of the preset that it is nearest to."""
    name = chapter(record.experiment)
    found = []
    for path in (presets / name).glob("*.yml"):
        if path.stem == "smoke":
            continue
        preset = yaml.safe_load(path.read_text())
        left_out = HERE.union(*(keys for front, keys in TIMED.items() if record.experiment.startswith(front)))
        wanted = {key: value for key, value in preset.items() if key not in left_out}
        found.append({key: value for key, value in wanted.items() if record.parameters.get(key) != value})
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
    record = records.read(path)
    if chapter(record.experiment) is None:
        assert record.experiment == "scan"  # a benchmark, which has no presets
        return
    assert differences(record) == {}


def test_a_preset_that_was_changed_after_the_recording_is_noticed(tmp_path):
    record = records.read(next(path for path in PATHS if path.stem == "mrss_proxy"))
    (tmp_path / "mrss").mkdir()
    preset = yaml.safe_load((PRESETS / "mrss/cpu.yml").read_text())
    (tmp_path / "mrss/cpu.yml").write_text(yaml.safe_dump(preset | {"runs": 99}))
    assert differences(record, tmp_path) == {"runs": 99}


def test_every_record_is_listed():
    text = (DATA / "README.md").read_text()
    assert [path.stem for path in PATHS if f"| `{path.stem}.json` |" not in text] == []
