"""Sweeps: what is finished is not computed again."""

from dataclasses import dataclass, replace

import pytest
import torch

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


def test_work_that_fails_says_why(tmp_path):
    with pytest.raises(ValueError, match="steps = 0: at least 1 is needed"):
        swept([Run(steps=0)], tmp_path)
