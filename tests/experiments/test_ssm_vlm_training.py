"""Towers learn under one protocol, and what comes out of Vision Mamba with fewer patches is judged beside them."""

from dataclasses import replace

import pytest
from transformers import CLIPConfig, CLIPModel

from lib import names
from lib.experiments import ssm_vlm_runs, ssm_vlm_training
from lib.experiments.ssm_vlm_runs import GRADUAL, LONGER, MERGING, RATES, TRIED, WHOLE, Training, matrices
from lib.experiments.ssm_vlm_scaling import TRANSFORMER
from lib.experiments.ssm_vlm_training import LABELS, SEEING, Settings, outcomes
from lib.models.clip import load
from lib.models.ssm.mamba_block import MambaConfig
from lib.models.ssm_vlm.tower import Sizes, VisionTower
from lib.tasks.training import clips
from lib.tasks.training.protocol import STEPS, TIME

LABELLED = {row.label for row in names.SCAN_REDUCTIONS.values()}
LABELLED |= {f"{names.SCAN_REDUCTIONS[name].label}{LONGER}" for name in MERGING}
SCORES = {TRANSFORMER: 0.2, SEEING: 0.3, "low_rate": 0.1}


def at_best(run):
    """How near a rate is to the one that is best for a tower: another one each."""
    best = dict(zip(SCORES, RATES, strict=True))[run.tower]
    return SCORES[run.tower] - abs(run.rate - best)


@pytest.fixture(scope="module")
def made():
    """A record of trainings that are not run, and all that was asked for."""
    seen = []

    def sweep(runs, work, folder, **options):
        runs = list(runs)
        seen.extend(runs)
        return {run: work(run) for run in runs}

    def train_one(run):
        fewer = [
            {"method": WHOLE, "keep": 1.0, "tuned": 0, "accuracy": 0.5},
            {"method": "segments", "keep": 0.5, "tuned": 0, "accuracy": 0.4 + run.seed / 100},
        ]
        judged = {"accuracy": at_best(run), "fewer": fewer if run.fewer else []} if run.judged else {}
        return {"valid": None if run.rate == RATES[2] and run.tower == SEEING else at_best(run)} | {
            "losses": [2.0, 1.0],
            **judged,
        }

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ssm_vlm_training, "sweep", sweep)
        patch.setattr(ssm_vlm_training, "train_one", train_one)
        patch.setattr(ssm_vlm_training, "cost_all", lambda _: {TRANSFORMER: 1.0, SEEING: 2.0, "low_rate": 1.01})
        patch.setattr(ssm_vlm_training, "step_profiles", lambda *_, **__: {})
        patch.setattr(ssm_vlm_training, "SIDES", (8,))
        settings = Settings(only="vision_mamba; low_rate", steps=8, runs=1, warmup=0)
        return ssm_vlm_training.run(settings), [run for run in seen if isinstance(run, Training)]


def test_each_tower_has_the_rate_that_is_best_on_images_held_back(made):
    record, seen = made
    rows = outcomes([record])
    chosen = rows.drop_duplicates(["variant", "rate"]).set_index("variant")["rate"].to_dict()
    assert chosen == {LABELS[tower]: rate for tower, rate in zip(SCORES, RATES, strict=True)}
    assert all(run.seed == TRIED and not run.judged and run.steps == 2 for run in seen[: 3 * len(RATES)])


def test_budgets_are_the_transformers_steps_and_its_time(made):
    rows = outcomes([made[0]])
    taken = rows.groupby(["variant", "budget"])["steps"].unique().map(list).to_dict()
    assert taken == {
        (TRANSFORMER, STEPS): [8],
        (LABELS[SEEING], STEPS): [8],
        (LABELS[SEEING], TIME): [4],
        (LABELS["low_rate"], STEPS): [8],
    }
    assert rows.groupby(["variant", "budget"])["seed"].count().eq(3).all()


def test_fewer_patches_are_judged_of_one_tower_at_equal_steps(made):
    record, seen = made
    assert {(run.tower, run.steps) for run in seen if run.fewer} == {(SEEING, 8)}
    rows = outcomes([record], ssm_vlm_training.FEWER)
    assert {*rows["variant"]} == {WHOLE, "segments"}
    assert rows[rows["variant"] == "segments"].sort_values("seed")["accuracy"].tolist() == pytest.approx(
        [0.4, 0.41, 0.42]
    )


def test_a_rate_that_diverged_is_said(made):
    rows = ssm_vlm_training.frame([made[0]])
    lost = rows[(rows["part"] == ssm_vlm_training.TRIALS) & rows["error"].notna()]
    assert [(row.variant, row.rate) for row in lost.itertuples()] == [(LABELS[SEEING], RATES[2])]


def test_a_forward_pass_is_timed_with_all_patches_and_with_fewer(made):
    rows = ssm_vlm_training.frame([made[0]])
    timed = rows[rows["part"] == ssm_vlm_training.TIMED]
    assert {*timed["variant"]} == {WHOLE, GRADUAL, *LABELLED}
    assert timed["seconds"].gt(0).all()
    assert timed.set_index(["variant", "keep"]).loc[("segments", 0.5), "flops"] < timed["flops"].max()


def test_muon_takes_the_matrices_that_the_small_clips_take_and_no_decay_of_a_state():
    clip = load.load("clip-scenes-0")
    before = {name for name, one in clip.model.named_parameters() if one.ndim == 2 and "vision_model.encoder." in name}
    assert {*matrices(clip.model)} == before
    clip.model.vision_model = VisionTower(clip.model.config.vision_config, SEEING)
    found = {name.rpartition("mixer.")[2] for name in matrices(clip.model)}
    assert found == {"in_proj.weight", "out_proj.weight"}


@pytest.mark.slow
def test_a_training_is_judged_with_fewer_patches_and_trains_on(tmp_path, monkeypatch):
    monkeypatch.setattr(ssm_vlm_runs, "SWEEPS", tmp_path)
    monkeypatch.setattr(clips, "TESTING", 4)
    monkeypatch.setattr(clips, "BATCH", 2)
    monkeypatch.setattr(ssm_vlm_runs, "built", small)
    run = Training("scenes", SEEING, 1e-3, 2, 0, learned=4)
    assert ssm_vlm_runs.train_one(run)["accuracy"] is None
    found = ssm_vlm_runs.train_one(replace(run, judged=True, fewer=True))
    rows = [(one["method"], one["keep"], one["tuned"]) for one in found["fewer"]]
    for keep in ssm_vlm_runs.KEEPS:
        assert {(label, keep, 0) for label in (*LABELLED, GRADUAL)} <= {*rows}
    assert {row for row in rows if row[2]} == {
        (WHOLE, 1.0, 1),
        ("segments, longer steps", 0.5, 1),
        ("random", 0.5, 1),
    }
    assert len({*rows}) == len(rows)
    assert found["fewer"][0]["accuracy"] == found["accuracy"]
    assert not [*tmp_path.iterdir()]  # nothing is resumed that is finished


def small(run, data):
    """A CLIP with a tower of two blocks."""
    one = clips.build(clips.Plan(run.task, run.seed, run.steps), data)
    tiny = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    config = CLIPConfig.from_dict(one.model.config.to_dict())
    config.vision_config.update(tiny)
    model = CLIPModel(config)
    model.vision_model = VisionTower(config.vision_config, run.tower, Sizes(MambaConfig(dim=32, layers=1), 2, 2))
    return replace(one, model=model)


@pytest.mark.parametrize(
    ("given", "words"), [({"task": "faces"}, "task = 'faces'"), ({"only": "transformer"}, "only = 'transformer'")]
)
def test_what_is_not_planned_is_refused(given, words):
    with pytest.raises(ValueError, match=words):
        ssm_vlm_training.run(Settings(**given))
