"""Trainings of the multi-resolution family: a seed decides everything."""

from dataclasses import asdict

import pytest

from lib.experiments import mrss_runs
from lib.experiments.mrss_runs import PLANS, USUAL, Result, Run, plan_of, planned, train_one
from lib.models.mrss.variants import family
from lib.models.ssm.mamba import MambaConfig
from lib.tasks.data.sequences import TASKS, Task
from lib.tasks.training.sweep import sweep

pytestmark = pytest.mark.slow

SMALL = family(MambaConfig(dim=40, layers=2, states=4), 8)


def run(seed=0, variant="low, r = 8", task="induction", steps=3):
    return Run(task, variant, SMALL[variant], "steps", steps, seed)


def test_a_seed_decides_everything():
    one, two, other = (Result(**train_one(run(seed))) for seed in (0, 0, 1))
    assert (one.accuracy, one.losses) == (two.accuracy, two.losses)
    assert one.losses != other.losses


@pytest.mark.parametrize("task", ["copying", "induction", "clocks"])
def test_a_training_is_not_ended_by_the_test_s_own_sequences(task, monkeypatch):
    looked = []
    monkeypatch.setattr(mrss_runs, "train", lambda *_, judge, **options: (judge(), [1.0])[1])
    monkeypatch.setattr(
        Task, "accuracy", lambda self, model, data=None, size=128: looked.append((data, self.test)) or 0.5
    )
    train_one(run(task=task))
    (held_back, tested), (none, _) = looked
    assert none is None  # the last look is the test's
    assert held_back[0].shape == tested[0].shape
    alike = (held_back[0] == tested[0]).flatten(1).all(1)
    assert not alike.any()


def test_trainings_go_through_a_sweep(tmp_path):
    runs = [run(seed) for seed in (0, 1)]
    found = mrss_runs.by_seed(sweep(runs, train_one, tmp_path, workers=1, progress=False))
    assert {seed: result.steps for seed, result in found[runs[0]].items()} == {0: 3, 1: 3}


def test_a_plan_that_lacks_something_says_what():
    with pytest.raises(
        ValueError, match=r"task 'digit': one of digits, clocks, motions, plugs, copying, induction is needed"
    ):
        planned("digit", SMALL, {"baseline": 1}, [0])
    with pytest.raises(ValueError, match="operations of baseline, low, r = 8: not given"):
        planned("digits", {"low, r = 8": SMALL["low, r = 8"]}, {}, [0])


def test_equal_operations_are_more_steps_for_a_cheaper_variant():
    variants = {name: SMALL[name] for name in ("baseline", "dual, r = 8", "low, r = 8")}
    runs = planned("clocks", variants, {"baseline": 100, "dual, r = 8": 120, "low, r = 8": 25}, [0, 1])
    steps = plan_of("clocks").steps
    found = {(run.variant, run.budget, run.steps) for run in runs}
    assert found == {
        ("baseline", "steps", steps),
        ("dual, r = 8", "steps", steps),
        ("low, r = 8", "steps", steps),
        ("low, r = 8", "operations", 4 * steps),
    }
    assert len(runs) == 2 * len(found)
    assert {one.device for one in runs} == {"cpu"}
    (one,) = planned("clocks", {"baseline": SMALL["baseline"]}, {"baseline": 1}, [0], device="cuda")
    assert one.device == "cuda"


def test_only_a_variant_that_lost_trains_again(monkeypatch, tmp_path):
    variants = {name: SMALL[name] for name in ("baseline", "low, r = 8", "hybrid, r = 8")}
    runs = planned("clocks", variants, {"baseline": 100, "low, r = 8": 25, "hybrid, r = 8": 50}, [0, 1])
    shares = {"baseline": 0.9, "low, r = 8": 0.88, "hybrid, r = 8": 0.895}

    def swept(asked, work, folder):
        return {one: asdict(Result(shares[one.variant], [], one.steps, 1.0)) for one in asked}

    monkeypatch.setattr(mrss_runs, "sweep", swept)
    found = {(one.variant, one.budget) for one in mrss_runs.in_rounds(runs, 0.01, tmp_path)}
    assert found == {(name, "steps") for name in variants} | {("low, r = 8", "operations")}


def test_an_endless_task_ends_once_it_is_solved(monkeypatch):
    monkeypatch.setattr(Task, "accuracy", lambda *_: 1.0)
    assert train_one(run(steps=250))["steps"] == 100


def test_results_are_grouped_by_all_but_the_seed():
    results = {
        run(seed, steps=steps): {"accuracy": seed / 10, "losses": [], "steps": steps, "seconds": 1.0}
        for steps in (3, 4)
        for seed in (5, 6)
    }
    assert mrss_runs.by_seed(results) == {
        run(0, steps=steps): {seed: Result(seed / 10, [], steps, 1.0) for seed in (5, 6)} for steps in (3, 4)
    }


def test_every_task_has_a_plan_and_every_plan_a_task():
    assert set(PLANS) < set(TASKS)
    assert plan_of("digits") == USUAL != plan_of("copying")
