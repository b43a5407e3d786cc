"""Students: a seed decides them, they are counted as they are stored; a smoke record is read by its own frame."""

from dataclasses import replace

import matplotlib.pyplot as plt
import pytest
from rehearsal import COMMITTED, evidence

from lib import records
from lib.experiments import distill_models, distill_training
from lib.experiments.distill_models import Plan
from lib.experiments.distill_training import ORIGINAL, SCRATCH, TASKS, Settings, Student
from lib.names import DISTILLATIONS
from lib.report.figures import distill as drawn
from lib.report.tables import distill as tabled
from lib.tasks.training import sweep

pytestmark = pytest.mark.slow

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
    later = ("balanced_truncation", "h2_optimal")
    labels = [row.label for name, row in DISTILLATIONS.items() if name not in later]
    assert list(rows["variant"].unique()) == ["original", *labels, SCRATCH]  # what had that name then is the refit
    every = distill_training.accuracies(found)
    assert len(every) == 5 * len(rows)
    assert list(every["task"].unique()) == list(distill_training.DATA.values())
    held = found[0].cases[1]
    first = every[(every["variant"] == "modal") & (every["task"] == "digits")].iloc[0]
    assert (held.variant, held.accuracies[0], held.parameters["order"]) == ("modal", first["accuracy"], first["order"])


@pytest.fixture(scope="session")
def trial(tmp_path_factory):
    """Every task's record at smoke size, its trainings one after another in this process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(distill_models, "SWEEPS", tmp_path_factory.mktemp("sweeps"))
        patch.setattr(sweep, "sweep", lambda runs, work, folder: {one: work(one) for one in runs})
        sizes = dict(teacher_states=32, orders=(2, 4), width=8, layers=1)
        return [distill_training.run(Settings(task=task, seeds=2, steps=2, healing=1, **sizes)) for task in TASKS]


@pytest.fixture(scope="session")
def found(trial, tmp_path_factory):
    return evidence(tmp_path_factory.mktemp("runs"), *trial)


def test_views_are_made_of_a_trial(found):
    few, fewer = found.few_trained
    assert (few, fewer, int(found.students["states"].iloc[0])) == (4, 2, 32)
    assert (found.student_quality["seeds"] == 2).all()
    assert list(found.against_small["order"].unique()) == [2, 4]


def test_both_balanced_truncations_have_words_of_their_own_in_records(trial):
    words = {case.variant for case in trial[0].cases}
    assert {"balanced", "balanced_refit"} < words
    assert "balanced_truncation" not in words  # which named the refit
    shown = set(distill_training.frame(trial)["variant"])
    assert {"balanced truncation", "balanced truncation, refitted"} < shown


def test_figures_and_tables_are_made_of_a_trial(found, trial):
    figure = drawn.accuracies(found)
    assert len(figure.axes) == 6
    plt.close(figure)
    every = tabled.accuracy_table(found.fine_tuned, "Table 1. Accuracy").data
    assert len(every.splitlines()) - 4 == 3 * 7
    assert "digits" in tabled.trained_table(trial[:1], "Table 2. Accuracy").data


def test_every_method_and_the_control_are_judged_in_a_trial(found):
    assert set(found.students["variant"]) == {ORIGINAL, SCRATCH, *(row.label for row in DISTILLATIONS.values())}
    assert set(found.student_quality["verdict"]) <= {"kept", "lost", "kept on average", "lost on average"}


def test_an_original_becomes_the_checkpoint_of_its_task(tmp_path, monkeypatch):
    monkeypatch.setattr(distill_training, "CHECKPOINTS", tmp_path)
    settings = Settings(task="digits", seeds=1, steps=2, teacher_states=8, width=8, layers=1)
    made, task = distill_models.original(settings.plans[0])
    distill_models.keep(made, settings.plans[0])
    path = distill_training.ship(settings)
    model, again = distill_training.load(path)
    assert path == tmp_path / "s4d_digits.safetensors"
    assert again.accuracy(model) == task.accuracy(made)
