"""The compared distillations: rates by held-back data alone, the test once; what is written is read by its frame."""

from dataclasses import replace

import pytest
import torch
from parity_task import parity
from refusals import refused

from lib.experiments import distill_compared, distill_compared_runs
from lib.experiments.distill_compared import FORWARD, LENGTHS, MADE, TAPS, TRIALS, TRIED, Settings, planned, trials
from lib.experiments.distill_compared_runs import (
    COMPRESSED,
    CONTROL,
    HEALED,
    METHODS,
    ORIGINAL,
    Outcome,
    Plan,
    Run,
    best,
    beyond,
    outcomes,
    spread,
    task_of,
    with_held_back,
)
from lib.experiments.distill_models import build, stored
from lib.models.distill.replace import distill
from lib.tasks.training import sweep

SIZES = dict(teacher_states=8, orders=(2, 4), width=8, layers=1, batch=8)
RUN = Run("parity", ORIGINAL, "lin", 8, 4e-3, 3, 0, batch=8, width=8, layers=1, orders=(2,), healing=1)


@pytest.fixture(scope="module", autouse=True)
def parity_planned():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(distill_compared_runs, "BENCHMARKS", {"parity": parity})
        patch.setitem(distill_compared_runs.PLANS, "parity", Plan("parity", {"length": 16}, lengths=(24,)))
        yield


@pytest.fixture(scope="module")
def made():
    settings = Settings(task="parity", trainings=2, steps=4, healing=1, runs=2, warmup=0, **SIZES)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sweep, "sweep", lambda runs, work, folder, **_: {one: work(one) for one in runs})
        return distill_compared.run(settings)


@pytest.mark.slow
def test_every_bank_and_what_is_made_of_it_stands_in_the_record(made):
    rows = distill_compared.frame([made])
    assert made.experiment == "distill_compared_parity"
    assert set(rows["part"]) == {TRIALS, MADE, TAPS, LENGTHS, FORWARD}
    assert rows["error"].isna().all()
    trained = rows[rows["part"] == MADE]
    for bank, label in distill_compared.BANKS.items():
        own = trained[trained["bank"] == label]
        wanted = {distill_compared.LABELS[method] for method in METHODS[bank]}
        wanted |= {ORIGINAL, distill_compared.SCRATCH}
        assert set(own["variant"]) == wanted | ({distill_compared.IN_TRAINING} if bank != "s5" else set())
        control = own[own["variant"] == distill_compared.SCRATCH]
        assert list(control["order"]) == ([1, 2, 4] if bank == "real" else [2, 4])
        assert set(control["steps"]) == {5}
    assert "held-back" in made.parameters["protocol"]


@pytest.mark.slow
def test_everything_is_read_by_seed(made):
    rows = distill_compared.accuracies([made])
    trained = rows[rows["part"] == MADE]
    assert set(trained["seed"]) == {0, 1}
    assert trained["accuracy"].between(0, 1).all()
    assert trained["loss"].gt(0).all()
    reduced = trained[(trained["variant"] == "H2-optimal") & ~trained["healed"].astype(bool)]
    assert reduced["relative_error"].gt(0).all()
    assert trained.loc[trained["healed"].astype(bool), "relative_error"].isna().all()
    assert set(rows.loc[rows["part"] == LENGTHS, "length"]) == {24}
    assert set(rows.loc[rows["part"] == TAPS, "taps"]) == {32, 64}


def test_originals_and_every_small_size_have_the_same_trials():
    found = list(trials(Settings(task="parity", **SIZES), 25))
    by_size = {}
    for one in found:
        by_size.setdefault((one.kind, one.bank, one.states), []).append(one.rate)
        assert (one.judged, one.steps, one.seed) == (False, 25, TRIED)
    assert set(map(tuple, by_size.values())) == {distill_compared.RATES}
    assert (CONTROL, "real", 1) in by_size
    assert (CONTROL, "lin", 1) not in by_size


def test_small_models_take_the_steps_of_the_original_and_of_the_fine_tuning():
    settings = Settings(task="parity", trainings=2, healing=7, **SIZES)
    rates = {(bank, states): states * 1e-3 for bank in ("lin", "real", "s5") for states in (1, 2, 4, 8)}
    found = list(planned(settings, rates, 20))
    assert {one.steps for one in found if one.kind == ORIGINAL} == {20}
    assert {one.steps for one in found if one.kind != ORIGINAL} == {27}
    assert all(one.rate == rates[one.bank, one.states] for one in found)
    assert {(one.share, one.bank) for one in found if one.kind == COMPRESSED} == {
        (0.9, bank) for bank in ("lin", "real")
    }
    assert len(found) == len(set(found))


def test_the_rate_is_that_of_the_lowest_loss_on_held_back_data():
    def outcome(valid):
        return Outcome(CONTROL, 2, False, 1.0, valid=valid)

    tried = {replace(RUN, rate=rate): outcome(valid) for rate, valid in ((1e-3, 2.0), (2e-3, 1.0), (4e-3, None))}
    assert best(tried) == 2e-3
    with pytest.raises(ValueError, match="lin of 8 states: at every rate the loss was not finite"):
        best({RUN: outcome(None)})


@pytest.mark.parametrize(
    ("plan", "source", "given"),
    [
        ("cifar", "a folder", {"source": "a folder"}),
        ("cifar", "cifar10", {}),
        ("cifar", "", {}),
        ("plaid", "a folder", {"length": 256}),
    ],
)
def test_images_come_from_where_they_are_said_to_be(plan, source, given, monkeypatch, generator):
    asked = {}
    make = {plan: lambda generator, **sizes: asked.update(sizes) or parity(generator)}
    monkeypatch.setattr(distill_compared_runs, "BENCHMARKS", make)
    distill_compared_runs.task_of(distill_compared_runs.PLANS[plan], source, generator)
    assert asked == given


def test_no_test_judges_a_trial(monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("the test judged a trial")

    run = replace(RUN, kind=CONTROL, judged=False)
    task = task_of(distill_compared_runs.PLANS["parity"], "", torch.Generator().manual_seed(0))
    asked = []
    judge = type(task).judged
    monkeypatch.setattr(
        type(task), "judged", lambda self, model, data=None: asked.append(data) or judge(self, model, data)
    )
    (found,) = outcomes(run)
    assert len(asked) == 1
    assert asked[0] is not None
    assert (found.accuracy, found.loss, dict(found.lengths)) == (None, None, {})
    assert found.valid > 0
    monkeypatch.setattr(type(task), "accuracy", refuse)
    assert [one.valid for one in outcomes(run)] == [found.valid]


def test_an_original_comes_with_all_that_is_made_of_it():
    found = list(outcomes(RUN))
    wanted = [(ORIGINAL, 8, False)]
    for method in METHODS["lin"]:
        wanted += [(method, 2, healed) for healed in (False, True) if not healed or method in HEALED]
    assert [(one.method, one.order, one.healed) for one in found] == wanted
    assert all(one.accuracy is not None and set(one.lengths) == {"24"} for one in found)
    assert all((one.error is None) == one.healed for one in found[1:])
    assert [one.accuracy for one in outcomes(RUN)] == [one.accuracy for one in found]


def test_a_training_that_diverges_is_an_outcome(monkeypatch):
    def diverge(*_, **__):
        raise FloatingPointError("step 1: the loss is nan")

    monkeypatch.setattr(distill_compared_runs, "train", diverge)
    (found,) = outcomes(RUN)
    assert (found.valid, found.accuracy) == (None, None)


def test_a_model_that_loses_states_in_training_says_how_many_are_left():
    (found,) = outcomes(replace(RUN, kind=COMPRESSED, steps=12, share=0.5))
    assert 1 <= found.order < 8
    assert found.stored < 8 * 4 * 4  # of eight states


def test_errors_beyond_are_those_of_all_layers_together(generator):
    task = parity(generator, length=16)
    model = build(task, 8, generator, 8, 2, "lin")
    student, layers = distill(model, 2, "truncated_svd", 16)
    at, more = (beyond(model, student, taps) for taps in (16, 32))
    kernels = [layer["mixer"].s4d.kernel(32).detach().double() for layer in model.backbone.layers]
    lost = [one.module.kernel(32).detach().double() - kernel for one, kernel in zip(layers, kernels, strict=True)]
    for found, taps in ((at, 16), (more, 32)):
        sums = [sum(one[:, :taps].square().sum() for one in each) for each in (lost, kernels)]
        assert found == pytest.approx((sums[0] / sums[1]).sqrt().item(), rel=1e-5)
    assert more > at  # a low rank ends with its taps


def test_sequences_that_judge_at_other_lengths_are_spread_over_the_test():
    x, answers = torch.arange(25).view(25, 1), torch.arange(25)
    assert spread((x, answers), 10)[1].tolist() == [0, 3, 6, 9, 12, 15, 18, 21, 24]
    assert torch.equal(spread((x, answers), 25)[0], x)


def test_what_an_s5_stores_is_counted(generator):
    model = build(parity(generator, length=16), 8, generator, 6, 2, "s5")
    assert stored(model) == 2 * (2 * 4 + 2 * 2 * 4 * 6)  # layers; decays; a row and a column of each mode


def test_what_is_held_back_comes_from_what_is_learned_from(generator):
    from lib.tasks.data.sequences import TASKS

    task = TASKS["digits"](generator, side=4)
    held = with_held_back(task, 0.25)
    assert held.test is task.test
    assert (len(held.train[0]), len(held.valid[0])) == (1011, 337)
    assert torch.equal(torch.cat([held.train[0], held.valid[0]]), task.train[0])
    x, _ = held.draw(500, generator)
    known = {one.numpy().tobytes() for one in held.train[0]}
    assert all(one.numpy().tobytes() in known for one in x)
    with refused("share = 1: "):
        with_held_back(task, 1)


def test_unknown_tasks_and_banks_are_quoted():
    with pytest.raises(ValueError, match="task = 'mnist': one of cifar, plaid, digits"):
        _ = Settings(task="mnist").chosen
    with pytest.raises(ValueError, match="banks = 'inv': one of lin, real, s5"):
        _ = Settings(task="parity", banks="lin,inv").chosen
