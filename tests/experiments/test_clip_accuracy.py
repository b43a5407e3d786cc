"""Accuracies of reduced CLIPs at smoke size: what is written is read by every number, figure, table and judge."""

import clip_runs
import matplotlib as mpl
import numpy as np
import outcomes
import pytest
from rehearsal import evidence

mpl.use("agg")
from matplotlib.figure import Figure

from lib.experiments import clip_accuracy, clip_training
from lib.experiments.clip_variants import ORIGINAL, RATIOS, SHARE, UNREDUCED, variants
from lib.names import SMALL_CLIPS
from lib.records import RecordError
from lib.report import accuracy, prose
from lib.report.chapters import clip as chapter
from lib.report.claims.judging import judged
from lib.report.claims.ledger import NOT_TESTABLE
from lib.report.figures import clip as figures
from lib.report.tables import clip as tables

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


@pytest.fixture(scope="session")
def made():
    return clip_runs.accuracies()


@pytest.fixture
def found(made, tmp_path):
    return evidence(tmp_path, *made, *clip_runs.trainings(), toys=clip_runs.TOYS)


def test_every_variant_is_judged(made):
    rows = clip_accuracy.frame(made)
    assert set(rows["task"]) == set(SMALL_CLIPS)
    assert set(rows["variant"]) == {UNREDUCED, ORIGINAL, *(one.name for one in variants())}
    assert set(rows["target"].dropna()) == set(RATIOS)
    assert set(rows["seed"]) == {0, 1}
    for row in rows[rows["variant"] != "random"].itertuples():  # of which the mean over patterns counts
        assert (len(row.hits), row.hits.mean()) == (24, pytest.approx(row.accuracy))


def test_outcomes_become_cases_and_come_back():
    frame = outcomes.frame()
    assert len(frame) == 6
    ours = frame[(frame["variant"] == "ours") & (frame["seed"] == 0)].iloc[0]
    assert ours["hits"].tolist() == [True, True, True, False, False]
    assert ours["retained"] == pytest.approx(3 / 4)
    assert ours["ratio"] == pytest.approx(0.5)  # the mean over checkpoints
    assert ours["task"] == "scenes"


def test_the_committed_records_are_read_in_todays_words(tmp_path):
    rows = evidence(tmp_path).clip_outcomes
    assert (len(rows), rows["seed"].nunique()) == (438, 3)
    assert not rows["variant"].isin(["untouched", "seed's code"]).any()
    assert np.isfinite(rows["retained"]).all()


def test_every_number_is_there_and_in_the_text(found):
    numbers = chapter.numbers(found)
    assert [one.task for one in numbers.small] == list(SMALL_CLIPS.values())
    for name in ("abstract", "discussion"):
        text = prose.render(f"clip_vtp/{name}", numbers).data
        assert "nan" not in text
        assert "None" not in text


def test_every_judge_decides(found):
    verdicts = judged(found, clip_runs.CLAIMS)
    assert [one.evidence for one in verdicts if one.verdict == NOT_TESTABLE and one.on != "clip"] == []
    read = {one.id for one in verdicts if "clip_accuracy_scenes" in one.records}
    assert read == {"B5", "B6", "B7", "B9"}


def test_figures_and_tables_are_drawn(found):
    assert isinstance(figures.accuracies(found.clip_by_ratio), Figure)
    best = found.clip_by_ratio
    for task in SMALL_CLIPS:
        assert "| merge in rounds " in tables.retained(best, task, "Table 6. Recorded").data
    assert "| original code " in tables.kept(found.clip_by_keep, "Table 8. Recorded").data
    assert "| merge in rounds " in tables.fidelity(best[best["target"] == SHARE], "Table 9. Recorded").data
    assert "| ToMe, decreasing " in tables.duels(chapter.duels(found), "Table 10. Recorded").data


def test_another_column_is_found(made):
    case = made[0].cases[0]
    held = {("shares" if name == "keep" else name): value for name, value in case.parameters.items()}
    broken = made[0].model_copy(update={"cases": [case.model_copy(update={"parameters": held})]})
    with pytest.raises(RecordError, match="has no keep"):
        clip_accuracy.frame([broken])


def test_another_task_is_refused():
    with pytest.raises(ValueError, match="task = 'imagenet'"):
        clip_accuracy.run(clip_accuracy.Settings(task="imagenet"))


def test_trainings_are_read(found):
    rows = found.clip_trainings
    assert list(rows["task"]) == list(SMALL_CLIPS)
    assert accuracy.training_minutes(rows) > 0
    trials = clip_training.accuracies(clip_runs.trainings()[:1])
    assert list(trials["seed"]) == [0, 1]
    assert (trials["steps"] == 2).all()
    shown = tables.trainings(trials).data
    assert "| scenes | 2 | 0 |" in shown


def test_a_training_of_another_part_is_found():
    made = clip_runs.trainings()[0]
    case = made.cases[0]
    renamed = case.model_copy(update={"parameters": case.parameters | {"part": "learning"}})
    with pytest.raises(RecordError, match="part 'learning'"):
        clip_training.frame([made.model_copy(update={"cases": [renamed]})])
