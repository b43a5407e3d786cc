"""Students: a seed decides them, they are counted as they are stored; a smoke record is read by its own frame."""

from dataclasses import replace

import pytest

from lib import records
from lib.experiments import distill_models, distill_training
from lib.experiments.distill_models import Plan
from lib.experiments.distill_training import SCRATCH, Settings, Student
from lib.names import DISTILLATIONS
from rehearsal import COMMITTED

PLAN = Plan(
    "digits", 0, states=8, orders=(2,), methods=("modal", "truncated_svd"), steps=2, healing=1, width=8, layers=2
)


@pytest.fixture(autouse=True)
def _elsewhere(monkeypatch, tmp_path):
    monkeypatch.setattr(distill_models, "SWEEPS", tmp_path)


def test_a_plan_makes_the_original_every_student_and_the_control():
    found = list(distill_training.students(PLAN))
    assert [(one.method, one.order, one.healed) for one in found] == [
        ("original", 8, False),
        ("modal", 2, False),
        ("modal", 2, True),
        ("truncated_svd", 2, False),
        ("truncated_svd", 2, True),
        ("scratch", 2, False),
    ]
    assert all(0 <= one.accuracy <= 1 and one.stored > 0 for one in found)
    assert [one.error is None for one in found] == [True, False, True, False, True, True]


def test_what_is_stored_is_counted_alike():
    found = {one.method: one.stored for one in distill_training.students(PLAN)}
    layers, dim = 2, 8
    assert found["original"] == layers * dim * 4 * 4  # four modes of a decay and a weight, complex both
    assert found["modal"] == found["scratch"] == layers * dim * 4
    assert found["truncated_svd"] == layers * 2 * (256 + dim)


def test_a_seed_decides_everything():
    first, second, other = (
        [one.accuracy for one in distill_training.students(plan)] for plan in (PLAN, PLAN, replace(PLAN, seed=1))
    )
    assert first == second != other


def test_results_are_grouped_by_all_but_the_seed():
    def one(seed):
        return dict(method="modal", order=2, healed=True, accuracy=seed / 10, error=None, stored=4, seconds=1.0)

    found = distill_training.by_seed({replace(PLAN, seed=seed): [one(seed)] for seed in (3, 4)})
    assert found == {("modal", 2, True): {seed: Student(**one(seed)) for seed in (3, 4)}}


def test_a_trial_has_its_own_steps_and_a_record_those_of_the_task():
    trial, whole = Settings(seeds=1, steps=3, healing=2), Settings(seeds=2, healing=60)
    assert [(plan.steps, plan.healing) for plan in trial.plans] == [(3, 2)]
    assert [(plan.steps, plan.healing, plan.seed) for plan in whole.plans] == [(400, 100, 0), (400, 100, 1)]


def test_an_unknown_task_is_quoted():
    with pytest.raises(ValueError, match=r"task = 'all': one of digits, plugs, clocks is needed"):
        distill_training.run(Settings(task="all"))


def test_the_committed_records_are_read_with_methods_by_their_labels():
    found = [records.read(COMMITTED / f"distillation_{task}.json") for task in distill_training.TASKS]
    rows = distill_training.frame(found)
    assert len(rows) == 3 * 37
    labels = [row.label for row in DISTILLATIONS.values()]
    assert list(rows["variant"].unique()) == ["original", *labels, SCRATCH]
    every = distill_training.accuracies(found)
    assert len(every) == 5 * len(rows)
    assert list(every["task"].unique()) == list(distill_training.TASKS)
    held = found[0].cases[1]
    first = every[(every["variant"] == "modal") & (every["task"] == "digits")].iloc[0]
    assert (held.variant, held.accuracies[0], held.parameters["order"]) == ("modal", first["accuracy"], first["order"])
