"""Trainings of two steps: what is written is read by every number, figure, table and judge."""

import matplotlib as mpl
import mrss_book
import pytest
from rehearsal import evidence

mpl.use("agg")
from matplotlib.figure import Figure

from lib import names
from lib.experiments import mrss_runs, mrss_training
from lib.experiments.mrss_training import FORWARD, TRAINED, TRAINING
from lib.records import RecordError
from lib.report.chapters import mrss as chapter
from lib.report.claims.ledger import NOT_TESTABLE

TASK = "induction"  # the one of which the text says most
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


@pytest.fixture(scope="session")
def made():
    def here(runs, work, folder, **_):  # in this process, nothing kept: the sweep has tests of its own
        return {run: work(run) for run in runs}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mrss_runs, "sweep", here)
        return mrss_training.run(mrss_book.settings(mrss_training, task=TASK, seeds=2, steps=2))


@pytest.fixture
def found(made, tmp_path):
    return evidence(tmp_path, made, toys=mrss_book.TOYS)


def test_every_part_holds_every_form(made):
    assert made.experiment == "mrss_induction"
    rows = mrss_training.frame([made])
    for part in (FORWARD, TRAINING, TRAINED):
        forms = set(rows.loc[rows["part"] == part, "variant"].str.partition(",")[0])
        assert forms == {"baseline", *names.family()}
    assert set(rows["kind"]) == {"recall"}
    assert rows["error"].isna().all()


def test_trainings_are_read_by_seed_and_step(made):
    steps = mrss_training.accuracies([made]).query("budget == 'steps'")
    assert (len(steps), set(steps["seed"])) == (10, {0, 1})
    assert steps["accuracy"].between(0, 1).all()
    losses = mrss_training.losses([made]).query("budget == 'steps'")
    assert all(list(group["step"]) == [1, 2] for _, group in losses.groupby(["variant", "seed"]))
    assert losses["loss"].gt(0).all()


def test_losses_stand_at_the_steps_that_they_were_taken_at(made):
    trained = next(case for case in made.cases if case.losses)
    longer = trained.model_copy(update={"losses": {3: [2.0, 1.0]}, "parameters": trained.parameters | {"steps": 400}})
    rows = mrss_training.losses([made.model_copy(update={"cases": [longer]})])
    assert list(zip(rows["seed"], rows["step"], rows["loss"], strict=True)) == [(3, 20, 2.0), (3, 40, 1.0)]


def test_all_that_is_made_of_it_is_made(found):
    for text in mrss_book.texts(found):
        assert "nan" not in text
        assert "None" not in text
    assert all(isinstance(one, Figure) for one in mrss_book.drawn(found).values())
    assert all(one.count("\n|") > 2 for one in mrss_book.tabled(found))
    assert mrss_training.LABELS[TASK] in set(found.training_losses["task"])


def test_every_judge_decides(found):
    verdicts = mrss_book.verdicts(found)
    assert [(one.id, one.on, one.evidence) for one in verdicts if one.verdict == NOT_TESTABLE] == []
    (fidelity,) = [one for one in verdicts if one.id == "A7"]
    assert set(fidelity.records) == {"mrss_scan", *(f"mrss_{task}" for task in names.SEQUENCES)}


def test_trainings_of_this_run_are_judged(made):
    assert set(chapter.live_accuracy([made])["task"]) == {mrss_training.LABELS[TASK]}


def test_committed_records_are_read(tmp_path):
    rows = evidence(tmp_path).frame(mrss_training, *mrss_training.TASKS)
    assert (len(rows), set(rows["part"])) == (98, set(mrss_training.PARTS))


@pytest.mark.parametrize("column", ["task", "kind", "budget", "steps"])
def test_a_column_that_is_renamed_is_missed(made, column):
    with pytest.raises(RecordError, match=f"has no {column}"):
        mrss_training.frame([mrss_book.renamed(made, column)])


def test_an_unknown_task_is_refused_before_anything_is_timed():
    with pytest.raises(ValueError, match="task 'digit': one of digits, clocks"):
        mrss_training.run(mrss_book.settings(mrss_training, task="digit"))
