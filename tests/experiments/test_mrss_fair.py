"""One protocol for all variants: the same trials, a choice by held-back data, budgets, a test that judges once."""

from dataclasses import replace

import pytest
import torch
from parity_task import PLAN, parity
from torch import nn

from lib.experiments import mrss_fair, mrss_plans
from lib.experiments.mrss_fair import DECAYS, RATES, Costs, Outcome, Training, best, train_one
from lib.experiments.mrss_plans import BASELINE, variants
from lib.tasks.data.sequences import Task
from lib.tasks.training.protocol import STEPS, TIME, budgets

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def planned(monkeypatch):
    monkeypatch.setitem(mrss_plans.PLANS, "parity", PLAN)
    monkeypatch.setattr(mrss_fair, "BENCHMARKS", {"parity": parity})


def training(label=BASELINE, **more) -> Training:
    return Training("parity", label, variants(PLAN)[label], 4e-3, 0.01, 6, 0, **more)


def test_a_seed_decides_everything():
    one, two = (Outcome(**train_one(training(judged=True))) for _ in range(2))
    assert (one.accuracy, one.losses, one.curve) == (two.accuracy, two.losses, two.curve)
    other = Outcome(**train_one(replace(training(judged=True), seed=1)))
    assert one.losses != other.losses


def test_the_test_set_judges_no_trial(monkeypatch):
    seen = []
    judged = Task.judged
    monkeypatch.setattr(
        Task,
        "judged",
        lambda self, model, data=None, size=128: (seen.append(data is None), judged(self, model, data, size))[1],
    )
    found = Outcome(**train_one(training()))
    assert (found.accuracy, found.loss, any(seen)) == (None, None, False)
    train_one(training(judged=True))
    assert seen.count(True) == 2  # the test once, and once another length


def test_what_is_held_back_is_followed_and_is_not_what_is_trained_on():
    found = Outcome(**train_one(training()))
    assert len(found.curve) == 6
    assert found.valid == pytest.approx(found.curve[-1], abs=1e-4)  # here both are all of it
    task = parity(torch.Generator().manual_seed(0))
    assert not torch.equal(task.valid[0], task.test[0])


def test_longer_sequences_are_judged_too():
    found = Outcome(**train_one(training(judged=True)))
    assert list(found.lengths) == ["24"]
    assert 0 <= found.lengths["24"] <= 1


def test_a_loss_that_is_not_finite_is_an_outcome(monkeypatch):
    monkeypatch.setattr(Task, "loss", lambda *_: torch.tensor(torch.nan, requires_grad=True))
    found = Outcome(**train_one(training()))
    assert (found.valid, found.losses) == (None, [])


def test_every_variant_has_the_same_trials(tmp_path, monkeypatch):
    tried = []

    def here(runs, work, folder, **_):
        runs = list(runs)
        tried.extend(runs)
        lost = {RATES[1]: 1.0, RATES[2]: None}  # the second is best, the third diverges
        return {
            run: vars(Outcome(lost.get(run.rate, 2.0) if run.decay == DECAYS[0] else 0.5, [], [], 2, 1.0))
            for run in runs
        }

    monkeypatch.setattr(mrss_fair, "sweep", here)
    found = mrss_fair.tuned("parity", variants(PLAN), tmp_path, "", 2)
    for label in variants(PLAN):
        pairs = [(run.rate, run.decay) for run in tried if run.label == label]
        assert pairs == [*((rate, DECAYS[0]) for rate in RATES), *((RATES[1], decay) for decay in DECAYS[1:])]
        assert (best(found[label]).rate, best(found[label]).decay) == (RATES[1], DECAYS[1])
    assert not any(run.judged for run in tried)


def test_where_every_rate_diverges_the_variant_is_named():
    with pytest.raises(ValueError, match=r"low, r = 8: at every rate the loss was not finite"):
        best({training("low, r = 8"): Outcome(None, [], [], 0, 1.0)})


def test_budgets_are_the_baseline_s_steps_and_its_time():
    seconds = {BASELINE: 2.0, "low": 0.5, "dual": 4.0, "same": 1.97}
    assert budgets(100, seconds, BASELINE, BASELINE) == {STEPS: 100}
    assert budgets(100, seconds, "low", BASELINE) == {STEPS: 100, TIME: 400}
    assert budgets(100, seconds, "dual", BASELINE) == {STEPS: 100, TIME: 50}
    assert budgets(100, seconds, "same", BASELINE) == {STEPS: 100}
    assert budgets(100, {}, "low", BASELINE) == {STEPS: 100}


def test_steps_of_all_variants_are_timed_in_turns():
    found = mrss_fair.cost_all(Costs("parity", tuple(variants(PLAN).items())))
    assert set(found) == {BASELINE, "low, r = 8"}
    assert all(seconds > 0 for seconds in found.values())


def test_a_model_is_fed_its_own_batch():
    fed = mrss_fair.Fed(nn.Identity(), torch.ones(2))
    assert torch.equal(fed(torch.zeros(())), torch.ones(2))
