"""Learned reductions on a checkpoint, at the size of a toy: what is written, compared with what, and read again."""

import matplotlib as mpl
import pytest
from refusals import refused
from rehearsal import alone

mpl.use("agg")
from lib.experiments import clip_learned, clip_learned_runs
from lib.experiments.clip_learned import FILLED, JUDGED, TIMED, Settings
from lib.experiments.clip_learned_runs import BY_IMAGE, ONE, SHIFT, TOKEN
from lib.experiments.clip_variants import ADAPTIVE, CLASS_ATTENTION, NORM, SUMMARY, UNREDUCED
from lib.models.clip import load as clip
from lib.report import prose
from lib.report.chapters import clip_learned as chapter
from lib.report.figures import clip_learned as drawn
from lib.report.tables import clip_learned as tabled

LEARNED = {TOKEN, SHIFT, BY_IMAGE}
CONTROLS = {NORM, SUMMARY, ONE, ADAPTIVE, CLASS_ATTENTION}
SMALL = {"learned": 24, "count": 16, "steps": 2, "per_step": 8, "scenes": 4, "runs": 2, "warmup": 0}


def here(runs, work, *_, **__):
    return {one: work(one) for one in runs}


@pytest.fixture(scope="module")
def made():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clip_learned, "sweep", here)
        patch.setattr(clip_learned_runs.clips, "TESTING", SMALL["count"])
        return clip_learned.run(Settings(task="scenes", seeds=2, **SMALL))


def test_every_reduction_stands_beside_the_same_without_what_was_learned(made):
    rows = clip_learned.frame([made])
    assert set(rows["part"]) == {JUDGED, TIMED}
    rows = rows[rows["part"] == JUDGED]
    assert set(rows["variant"]) == {UNREDUCED} | LEARNED | CONTROLS
    assert len(rows) == 2 * (1 + 3 * (len(LEARNED) + len(CONTROLS)))
    assert (rows.loc[rows["variant"] == UNREDUCED, "keep"] == 1).all()
    for row in rows.itertuples():
        assert row.accuracy == pytest.approx(row.hits.mean())
    assert set(rows.loc[rows["steps"] > 0, "variant"]) == LEARNED
    at = rows.set_index(["variant", "keep", "seed"])["ratio"]
    for keep in clip_learned.KEEPS:
        assert (at[CLASS_ATTENTION, keep] <= at[BY_IMAGE, keep] + 1e-9).all()
        assert (at[TOKEN, keep] == at[SUMMARY, keep]).all()


def test_a_batch_is_timed_with_budgets_per_image_in_buckets_and_filled_up(made):
    times = clip_learned.times([made]).set_index("variant")
    assert set(times.index) == {UNREDUCED, CLASS_ATTENTION, BY_IMAGE, FILLED}
    assert set(times["part"]) == {TIMED}
    assert (times["batch"] == SMALL["scenes"]).all()


def test_budgets_without_learning_keep_the_share_on_the_images_learned_on():
    model = clip.load("clip-scenes-0")
    data = clip_learned_runs.clips.training_images(clip_learned_runs.clips.Plan("scenes", 0, 1), 40)
    pixels, tower = model.pixels(data.images), model.model.vision_model
    towers = dict(
        clip_learned_runs._controls(
            tower, 0.5, pixels, clip_learned_runs.learnable(tower, "threshold", 0.5, **clip_learned_runs.LAST), pixels
        )
    )
    for name in (ONE, ADAPTIVE):
        kept = (towers[name].traced(pixels)[1].places >= 0).double().mean().item()
        assert kept == pytest.approx(0.5, abs=0.02), name


def test_what_was_learned_comes_back_from_plain_values():
    tower = clip.load("clip-scenes-0").model.vision_model
    first = clip_learned_runs.learnable(tower, "threshold", 0.5)
    first.learned.bias.data.fill_(0.25)
    again = clip_learned_runs.again(tower, 0.5, clip_learned_runs.labelled(first), tile=8)
    assert again.learned.bias.item() == 0.25


@pytest.fixture
def found(made, tmp_path):
    return alone(tmp_path, made)


def test_every_number_is_in_the_text_and_drawn(found):
    numbers = chapter.numbers(found)
    assert numbers.lacking == ["CIFAR-10"]
    assert (numbers.seeds, numbers.learned, numbers.images, numbers.batch) == (2, 24, 16, 4)
    assert numbers.token.total == len(clip_learned.KEEPS)
    said = prose.render("clip_vtp/learned", numbers).data
    assert "nan" not in said
    assert "Not recorded yet: CIFAR-10." in said
    shown = tabled.learned_table(found, "Table 1. A title").data
    assert shown.count("\n| ") >= len(LEARNED) + len(CONTROLS)
    assert drawn.added(found).axes[0].get_ylabel() == "points of accuracy gained"


def test_gains_are_of_the_same_images_and_checkpoints(found):
    rows, gains = found.learned, found.learned_token_gains
    mean = rows.groupby(["variant", "keep"])["accuracy"].mean()
    for row in gains.itertuples():
        assert row.difference == pytest.approx(mean[TOKEN, row.keep] - mean[NORM, row.keep])


def test_without_a_record_the_page_says_so(tmp_path):
    nothing = alone(tmp_path)
    assert not chapter.recorded(nothing)
    assert "Not recorded yet" in prose.render("clip_vtp/learned", chapter.numbers(nothing)).data


def test_of_more_images_than_there_are_all_judge(monkeypatch):
    seen = []
    monkeypatch.setattr(clip_learned, "sweep", lambda runs, *_, **__: seen.extend(runs) or {})
    monkeypatch.setattr(clip_learned_runs.clips, "TESTING", 8)
    with pytest.raises(StopIteration):  # nothing was judged
        clip_learned.run(Settings(task="scenes", count=50))
    assert {one.count for one in seen} == {8}


def test_what_cannot_be_run_is_refused():
    with refused("task = 'digits': one of scenes, cifar10 is needed"):
        clip_learned.run(Settings(task="digits"))
    with refused("steps = 0: an integer"):
        clip_learned.run(Settings(steps=0))
    with refused("per_step = 64: an integer from 1 to 8"):
        clip_learned.run(Settings(learned=8))
