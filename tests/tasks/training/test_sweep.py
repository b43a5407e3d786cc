"""Sweeps: what is finished is not computed again."""

import tempfile
from dataclasses import dataclass, replace

import pytest
import torch

from lib.experiments import clip_accuracy, lora_training
from lib.tasks.training import sweep

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Run:
    seed: int = 0
    task: str = "toy"
    steps: int = 3


def work(run):
    if run.steps < 1:
        raise ValueError(f"steps = {run.steps}: at least 1 is needed")
    return {"seed": run.seed, "threads": torch.get_num_threads()}


def other(run):
    return {}


def swept(runs, folder):
    return sweep.sweep(runs, work, folder, workers=1, progress=False)


def test_finished_runs_are_not_repeated(tmp_path):
    runs = [Run(0), Run(1)]
    first = swept(runs[:1], tmp_path)
    kept = {file: file.stat().st_mtime_ns for file in tmp_path.iterdir()}
    both = swept(runs, tmp_path)
    assert both == {runs[0]: first[runs[0]], runs[1]: {"seed": 1, "threads": 1}}
    assert all(file.stat().st_mtime_ns == time for file, time in kept.items())
    assert len(list(tmp_path.iterdir())) == 2


def test_a_result_belongs_to_its_run_its_work_and_its_code(monkeypatch, tmp_path):
    asked = [(Run(), work), (Run(seed=1), work), (replace(Run(), steps=4), work), (Run(), other)]
    known = {sweep._digest(*one) for one in asked}
    assert len(known) == 4
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "other.py").write_text("changed = True")
    monkeypatch.setattr(sweep, "LIB", tmp_path)
    assert sweep._digest(Run(), work) not in known


def test_a_result_belongs_to_the_files_that_its_run_reads(tmp_path):
    read = tmp_path / "model.safetensors"

    class Reading(Run):
        reads = (read,)

    digests = set()
    for content in (b"one", b"another"):
        read.write_bytes(content)
        digests.add(sweep._digest(Reading(), work))
    assert len(digests - {sweep._digest(Run(), work)}) == 2


def test_trainings_and_checks_on_a_checkpoint_read_its_files():
    for run in (lora_training.Plan("scenes", 4, "tokens", 1, keep=0.5), clip_accuracy.Check("scenes", 1)):
        assert {path.name for path in run.reads} >= {"config.json", "model.safetensors", "tokenizer.json"}
        assert {path.parent.name for path in run.reads} == {"clip-scenes-1"}


BROKEN = {
    "empty": lambda text: "",
    "truncated": lambda text: text[: len(text) // 2],
    "zeros": lambda text: "\0" * len(text),
    "null": lambda text: "null",
    "a number": lambda text: "7",
    "of an earlier form": lambda text: '{"seed": 0, "threads": 1}',
    "another result": lambda text: text.replace("7", "8"),
    "not even a result": lambda text: '{"result": null, "sha256": ""}',
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_kept_result_that_is_broken_counts_as_not_there_and_is_named(tmp_path, how):
    path = tmp_path / "a reader's café.json"
    sweep._write(path, {"seed": 7})
    assert sweep._read(path) == {"seed": 7}
    path.write_text(BROKEN[how](path.read_text()))
    with pytest.warns(UserWarning, match="a reader's café.json: .*; computed anew"):
        assert sweep._read(path) is None


def test_a_result_that_was_never_kept_is_not_warned_of(tmp_path):
    assert sweep._read(tmp_path / "none.json") is None


def test_a_broken_result_is_computed_anew_and_said_once(tmp_path):
    first = swept([Run(0)], tmp_path)
    (file,) = tmp_path.iterdir()
    file.write_text(file.read_text()[:9])
    with pytest.warns(UserWarning, match=file.name) as said:
        assert swept([Run(0)], tmp_path) == first
    assert len(said) == 1
    assert swept([Run(0)], tmp_path) == first


def test_a_folder_that_cannot_be_written_is_refused_before_anything_is_computed(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file/kept: nothing can be written there"):
        swept([Run(0)], tmp_path / "file/kept")


def test_a_result_that_finds_no_room_is_returned_and_kept_elsewhere(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (tmp_path / "file").touch()
    with pytest.warns(UserWarning, match=f"what was measured is in {tmp_path}/measured-.*/a.json"):
        assert sweep._write(tmp_path / "file/a.json", {"losses": (1.0, 2.0)}) == {"losses": [1.0, 2.0]}


def test_work_that_fails_says_why(tmp_path):
    with pytest.raises(ValueError, match="steps = 0: at least 1 is needed"):
        swept([Run(steps=0)], tmp_path)
