"""Sweeps: what is finished is not computed again, and a seed decides everything."""

from dataclasses import replace

import pytest

from lib.models.mamba import MambaConfig
from lib.models.mrss import MrssConfig, family
from lib.tasks import sweep
from lib.tasks.sequences import TASKS, Task
from lib.tasks.sweep import PLANS, Result, Run, planned, train_one

SMALL = family(MambaConfig(dim=40, layers=2, states=4), 8)


def run(seed=0, variant="low, r = 8", task="induction", steps=3):
    return Run(task, variant, SMALL[variant], "steps", steps, seed)


def test_a_seed_decides_everything():
    one, two, other = (train_one(run(seed)) for seed in (0, 0, 1))
    assert (one.accuracy, one.losses) == (two.accuracy, two.losses)
    assert one.losses != other.losses


def test_finished_trainings_are_not_repeated(tmp_path):
    runs = [run(seed) for seed in (0, 1)]
    first = sweep.sweep(runs[:1], tmp_path, workers=1, progress=False)
    kept = {file: file.stat().st_mtime_ns for file in tmp_path.iterdir()}
    both = sweep.sweep(runs, tmp_path, workers=1, progress=False)
    assert list(both) == runs
    assert both[runs[0]] == first[runs[0]]
    assert all(file.stat().st_mtime_ns == time for file, time in kept.items())
    assert len(list(tmp_path.iterdir())) == 2


def test_a_result_belongs_to_its_run_and_code(monkeypatch, tmp_path):
    known = {
        sweep._digest(one)
        for one in (run(), run(seed=1), run(steps=4), replace(run(), config=MrssConfig(MambaConfig(dim=40, layers=2))))
    }
    assert len(known) == 4
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "other.py").write_text("changed = True")
    monkeypatch.setattr(sweep, "LIB", tmp_path)
    assert sweep._digest(run()) not in known


def test_a_training_that_fails_says_why(tmp_path, monkeypatch):
    with pytest.raises(
        ValueError, match=r"task 'digit': one of digits, clocks, motions, plugs, copying, induction is needed"
    ):
        planned("digit", SMALL, {"baseline": 1}, [0])
    with pytest.raises(ValueError, match="operations of baseline, low, r = 8: not given"):
        planned("digits", {"low, r = 8": SMALL["low, r = 8"]}, {}, [0])
    with pytest.raises(ValueError, match="steps = 0: at least 1 is needed"):
        sweep.sweep([run(steps=0)], tmp_path, progress=False)


def test_equal_operations_are_more_steps_for_a_cheaper_variant():
    variants = {name: SMALL[name] for name in ("baseline", "dual, r = 8", "low, r = 8")}
    runs = planned("clocks", variants, {"baseline": 100, "dual, r = 8": 120, "low, r = 8": 25}, [0, 1])
    steps = PLANS["clocks"].steps
    found = {(run.variant, run.budget, run.steps) for run in runs}
    assert found == {
        ("baseline", "steps", steps),
        ("dual, r = 8", "steps", steps),
        ("low, r = 8", "steps", steps),
        ("low, r = 8", "operations", 4 * steps),
    }
    assert len(runs) == 2 * len(found)


def test_only_a_variant_that_lost_trains_again(monkeypatch, tmp_path):
    variants = {name: SMALL[name] for name in ("baseline", "low, r = 8", "hybrid, r = 8")}
    runs = planned("clocks", variants, {"baseline": 100, "low, r = 8": 25, "hybrid, r = 8": 50}, [0, 1])
    shares = {"baseline": 0.9, "low, r = 8": 0.88, "hybrid, r = 8": 0.895}

    def swept(asked, folder):
        return {one: Result(shares[one.variant], [], one.steps, 1.0) for one in asked}

    monkeypatch.setattr(sweep, "sweep", swept)
    found = {(one.variant, one.budget) for one in sweep.in_rounds(runs, 0.01, tmp_path)}
    assert found == {(name, "steps") for name in variants} | {("low, r = 8", "operations")}


def test_an_endless_task_ends_once_it_is_solved(monkeypatch):
    monkeypatch.setattr(Task, "accuracy", lambda *_: 1.0)
    assert train_one(run(steps=250)).steps == 100


def test_results_are_grouped_by_all_but_the_seed():
    results = {run(seed, steps=steps): (seed, steps) for steps in (3, 4) for seed in (5, 6)}
    assert sweep.by_seed(results) == {
        run(0, steps=3): {5: (5, 3), 6: (6, 3)},
        run(0, steps=4): {5: (5, 4), 6: (6, 4)},
    }


def test_every_task_has_a_plan():
    assert set(PLANS) == set(TASKS)
