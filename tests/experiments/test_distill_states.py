"""Mambas of fewer states: rates are chosen on what is held back, a seed decides all, a trial's record is read back."""

import math
from dataclasses import replace

import pytest
import torch

from lib.experiments import distill_state_runs as runs
from lib.experiments import distill_states
from lib.experiments.distill_state_runs import CONTINUED, PLANS, Judged, Plan, Student, Training
from lib.experiments.distill_states import Settings
from lib.names import BENCHMARKS, STATE_CHOICES
from lib.tasks.training import sweep

pytestmark = pytest.mark.slow

OPTIONS = (("length", 12), ("pairs", 2), ("vocabulary", 10), ("tested", 16))
PLAN = Plan("mqar", OPTIONS, dim=8, layers=2, states=4, kept=(2,), steps=3, healing=2, batch=4, rates=(1e-2, 2e-2))
RUN = Training(PLAN, 4, 1e-2, 3, 0)


@pytest.fixture(autouse=True)
def _elsewhere(monkeypatch, tmp_path):
    monkeypatch.setattr(runs, "SWEEPS", tmp_path)
    monkeypatch.setattr(runs, "SEEN", 4)


def plain(results):
    """Without seconds, which differ."""
    return {name: value for name, value in results.items() if name != "seconds"}


def test_a_seed_decides_a_training():
    first, again, other = (plain(runs.train_one(run)) for run in (RUN, RUN, replace(RUN, seed=1)))
    assert first == again != other
    assert 0 <= first["accuracy"] <= 1
    assert 0 < first["valid_loss"] < 10


def test_a_trained_model_is_found_in_its_file_and_trained_again_without():
    runs.train_one(RUN)
    kept, _ = runs.restored(RUN)
    RUN.weights.unlink()
    again, _ = runs.restored(RUN)
    assert RUN.weights.is_file()
    for name, weight in kept.state_dict().items():
        assert torch.equal(weight, again.state_dict()[name])


def test_files_differ_as_trainings_do():
    others = [replace(RUN, **{name: value}) for name, value in dict(states=2, rate=1.0, steps=9, seed=5).items()]
    others.append(replace(RUN, plan=replace(PLAN, dim=16)))
    assert len({one.weights for one in [RUN, *others]}) == 6


@pytest.mark.parametrize("criterion", [*STATE_CHOICES, CONTINUED])
def test_a_student_is_judged_before_and_after_its_fine_tuning(criterion):
    whole = plain(runs.train_one(RUN))
    keep = 4 if criterion == CONTINUED else 2
    before, after = runs.reduce_one(Student(RUN, keep, criterion))
    assert plain(before) != plain(after)
    assert (plain(before) == whole) == (criterion == CONTINUED)
    assert [plain(one) for one in runs.reduce_one(Student(RUN, keep, criterion))] == [plain(before), plain(after)]


def test_all_states_kept_are_the_original():
    whole = plain(runs.train_one(RUN))
    before, _ = runs.reduce_one(Student(RUN, 4, "refit"))
    assert plain(before) == pytest.approx(whole, rel=1e-5)


def test_a_training_that_diverges_is_a_result(monkeypatch):
    def diverge(*_, **__):
        raise FloatingPointError("step 3: the loss is nan")

    monkeypatch.setattr(runs, "train", diverge)
    found = runs.train_one(RUN)
    assert {found[name] for name in ("valid_loss", "valid_accuracy", "loss", "accuracy")} == {None}


def test_the_lowest_loss_on_what_is_held_back_chooses_the_rate():
    found = {one: Judged(one.rate, 0.5, -one.rate, 0.5, 1.0) for one in runs.screened(PLAN, 0)}
    assert {states: run.rate for states, run in runs.chosen(found).items()} == {4: 1e-2, 2: 1e-2}
    lost = {one: replace(held, valid_loss=None) if one.rate == 1e-2 else held for one, held in found.items()}
    assert {run.rate for run in runs.chosen(lost).values()} == {2e-2}
    with pytest.raises(ValueError, match="4 states: at every rate the loss was not finite"):
        runs.chosen({one: replace(held, valid_loss=None) for one, held in found.items()})


def test_schedules_are_equal():
    planned = runs.screened(PLAN, 0)
    assert [(run.states, run.rate, run.steps) for run in planned] == [
        (4, 1e-2, 3), (4, 2e-2, 3), (2, 1e-2, 3 + 2), (2, 2e-2, 3 + 2)
    ]  # fmt: skip
    best = {run.states: run for run in planned}
    assert [(run.states, run.seed) for run in runs.repeated(best, range(2))] == [(4, 0), (4, 1), (2, 0), (2, 1)]


def test_every_task_has_a_plan_that_makes_its_model():
    for name, plan in PLANS.items():
        assert plan.task == name in BENCHMARKS
        assert all(keep < plan.states for keep in plan.kept)
    model, task, _ = runs.made(Training(PLANS["mqar"], 16, 1e-3, 1, 0))
    assert model(task.test[0][:2]).shape == (2, task.length, task.classes)


def test_an_unknown_task_is_quoted():
    with pytest.raises(ValueError, match="task = 'all': one of mqar, copying_long, characters is needed"):
        distill_states.run(Settings(task="all"))


def test_a_trial_has_its_own_steps():
    assert Settings(task="mqar", steps=7, healing=3).plan == replace(PLANS["mqar"], steps=7, healing=3)
    assert Settings(task="mqar", healing=3).plan == PLANS["mqar"]


@pytest.fixture(scope="module")
def trial(tmp_path_factory):
    """A record of two seeds at the smallest sizes, its trainings one after another in this process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runs, "SWEEPS", tmp_path_factory.mktemp("sweeps"))
        patch.setattr(runs, "SEEN", 4)
        patch.setattr(sweep, "sweep", lambda runs, work, *_, **__: {one: work(one) for one in runs})
        patch.setattr(distill_states, "PLANS", {"mqar": PLAN})
        patch.setattr(distill_states, "TOKENS", 4)
        return distill_states.run(Settings(task="mqar", seeds=2, runs=1, warmup=0, dim=16, length=20))


def test_a_record_holds_every_criterion_and_its_controls(trial):
    assert trial.experiment == "distill_states_mqar"
    rows = distill_states.frame([trial])
    trained = rows[rows["part"] == distill_states.TRAINED]
    found = {(row.variant, row.states, row.healed): (row.steps, row.healing) for row in trained.itertuples()}
    labels = {row.label for row in STATE_CHOICES.values()}
    assert found == {
        ("original", 4, False): (3, 2),
        ("small from the start", 2, False): (5, 2),
        ("original, trained on", 4, True): (3, 2),
        **{(label, 2, healed): (3, 2) for label in labels for healed in (False, True)},
    }


def test_a_record_names_its_protocol(trial):
    held = trial.parameters
    assert (held["width"], held["layers"], held["batch"], held["healing"], held["share"]) == (8, 2, 4, 2, 0.5)
    assert held["rates"] == "0.01, 0.02"
    assert held["sizes"] == "length 12, pairs 2, vocabulary 10, tested 16"


def test_every_seed_is_read_back_with_accuracy_and_loss(trial):
    every = distill_states.accuracies([trial])
    every = every[every["part"] == distill_states.TRAINED]
    assert (every.groupby(["variant", "healed"])["seed"].nunique() == 2).all()
    assert every["accuracy"].between(0, 1).all()
    assert (every["test_loss"] > 0).all()
    assert len(every) == 2 * (3 + 2 * len(STATE_CHOICES))


def test_screening_is_in_the_record(trial):
    rows = [case for case in trial.cases if case.parameters["part"] == distill_states.SCREENED]
    assert {(case.parameters["states"], case.parameters["rate"]) for case in rows} == {
        (states, rate) for states in (4, 2) for rate in PLAN.rates
    }
    for states in (4, 2):
        losses = {
            case.parameters["rate"]: case.valid_losses[0][0] for case in rows if case.parameters["states"] == states
        }
        used = {
            case.parameters["rate"]
            for case in trial.cases
            if case.parameters["part"] == distill_states.TRAINED
            and case.variant == (distill_states.ORIGINAL if states == 4 else distill_states.SCRATCH)
        }
        assert used == {min(losses, key=losses.get)}


def test_costs_are_those_of_every_number_of_states_at_two_sizes(trial):
    rows = distill_states.frame([trial])
    for part in (name for name in distill_states.PARTS if name not in ("screened", "trained")):
        found = rows[rows["part"] == part]
        assert sorted(zip(found["dim"], found["states"], strict=True)) == [(8, 2), (8, 4), (16, 2), (16, 4)]
        assert (found["seconds"] > 0).all()
    small = rows[(rows["part"] == "streamed") & (rows["dim"] == 8)].set_index("states")["state_bytes"]
    # Two layers of 16 channels: three inputs of a convolution and N states, four bytes each.
    assert small.to_dict() == {4: 4 * 2 * 16 * (3 + 4), 2: 4 * 2 * 16 * (3 + 2)}


def test_a_diverged_training_is_an_error_in_the_record():
    cases = distill_states.base.Cases(distill_states.PARTS)
    distill_states._add_trial(cases, RUN, Judged(None, None, None, None, 1.0))
    assert cases[0].error == "the loss was not finite"
    assert math.isclose(cases[0].parameters["rate"], 1e-2)
