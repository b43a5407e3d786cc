"""Outcomes of token reduction as frames and tests, on cases that one can check by hand."""

import numpy as np
import outcomes
import pandas as pd
import pytest

from lib.experiments import clip_cost
from lib.experiments.clip_variants import SLICED, UNREDUCED
from lib.report import statistics
from lib.report.frames import Missing, clip


@pytest.fixture
def frame():
    return outcomes.frame()


def test_a_summary_has_the_mean_over_checkpoints_with_its_interval(frame):
    row = clip.summary(frame).set_index("variant").loc["ours"]
    assert row["retained"] == pytest.approx((3 / 4 + 1) / 2)
    assert row["retained_low"] < row["retained"] < row["retained_high"]
    assert row["seeds"] == 2
    assert row["how"] == row["retained_how"] == statistics.WIDER  # of answers to single images
    assert row["agreement_how"] == statistics.CLUSTERED  # of one number per checkpoint


def test_what_is_retained_is_resampled_with_the_unreduced_models_answers(frame):
    found = clip.summary(frame).set_index("variant")
    assert (found.loc[UNREDUCED, "retained_low"], found.loc[UNREDUCED, "retained_high"]) == (1, 1)
    sides = [np.stack(list(rows["hits"])) for _, rows in frame.groupby("variant", sort=False)][:2]
    images = statistics.bootstrap(
        np.stack(sides, axis=2),
        lambda part: np.divide(*part.mean(1).T[::-1]).mean() if part.any(1).all() else np.nan,
        generator_seed=statistics.SEED,
    )
    expected = statistics.wider(images, statistics.paired_t([3 / 4, 1]))
    row = found.loc["ours"]
    assert (row["retained_low"], row["retained_high"]) == pytest.approx((expected.low, expected.high))


def test_a_summary_needs_the_unreduced_model_of_each_checkpoint(frame):
    with pytest.raises(Missing, match="scenes: of checkpoint 0 the unreduced model is not recorded"):
        clip.summary(frame[frame["variant"] != UNREDUCED])
    with pytest.raises(Missing, match="scenes: of checkpoint 1 the unreduced model is not recorded"):
        clip.duels(frame[(frame["variant"] != UNREDUCED) | (frame["seed"] == 0)], "ours", "other")


def test_a_duel_counts_the_images_that_more_checkpoints_answer(frame):
    row = clip.duels(frame, "ours", "other").iloc[0]
    # both seeds together: 22211 against 00122, three images and two
    assert (row["won"], row["lost"]) == (3, 2)
    assert row["p"] == 1
    assert row["images"] == 5
    assert row["gained"] == pytest.approx((1 / 4 + 2 / 5) / 2)
    assert row["gained_low"] < row["gained"] < row["gained_high"]
    assert clip.duels(frame, "ours", "nobody").empty


def test_duels_at_several_targets_are_one_family():
    right = {UNREDUCED: [1] * 8, "ours": [1] * 8, "other": [0] * 7 + [1]}
    rows = pd.DataFrame(
        {"variant": name, "target": target, "seed": seed, "hits": np.array(hits, bool), "retained": np.mean(hits)}
        for name, hits in right.items()
        for target in ([None] if name == UNREDUCED else [0.5, 0.4, 0.3])
        for seed in range(3)
    ).assign(machine="M", task="t")
    found = clip.duels(rows, "ours", "other")
    assert list(found["p"]) == pytest.approx([2 / 2**7] * 3)  # seven images won, each once for three checkpoints
    assert list(found["p_holm"]) == pytest.approx([6 / 2**7] * 3)


def test_a_tower_that_slices_shows_what_the_reduction_costs():
    timed = {UNREDUCED: [10.0, 20.0], "ours": [6.0, 12.0], f"ours{SLICED}": [5.0, 10.0], "bfloat16": [3.0, 6.0]}
    counted = {UNREDUCED: 100, "ours": 50, f"ours{SLICED}": 50, "bfloat16": 100}
    rows = [
        {"machine": "M", "variant": name, "runs": np.array(runs), "latency_ratio": runs[0] / 10}
        | {"flops_ratio": counted[name] / 100}
        for name, runs in timed.items()
    ]
    (found,) = clip.overheads(pd.DataFrame(rows)).to_dict("records")
    assert found["variant"] == "ours"
    assert found["overhead"] == pytest.approx(0.1)
    assert found["excess"] == pytest.approx(0.2)


def test_a_score_is_a_worse_guide_surely_or_on_average_or_not():
    rows = [
        ("sure", 0.5, -0.2, -0.1), ("sure", 0.3, -0.3, -0.2), ("sure", 0.9, 0.2, 0.3),  # above the share that counts
        ("mean", 0.5, -0.2, 0.1), ("mean", 0.3, -0.3, -0.2),
        ("no", 0.5, -0.2, -0.1), ("no", 0.3, 0.1, 0.2),
    ]  # fmt: skip
    frame = pd.DataFrame(rows, columns=["task", "keep", "difference", "difference_high"])
    assert clip.worse_guides(frame, 0.7) == (["sure"], ["mean"])


def test_a_budget_is_held_against_the_line_between_fixed_numbers():
    rows = [("fixed", 0.4, 0.6), ("fixed", 0.8, 1.0), ("adaptive", 0.5, 0.65), ("adaptive", 0.9, 1.0)]
    frame = pd.DataFrame(rows, columns=["variant", "ratio", "retained"]).assign(machine="M", task="t")
    found = clip.over_fixed(frame, fixed="fixed")
    assert list(found["ratio"]) == [0.5]  # beyond the line nothing is known
    assert list(found["gained"]) == pytest.approx([0.65 - 0.7])


def test_a_case_that_failed_has_no_overhead():
    rows = [
        {"machine": "M", "variant": name, "runs": np.array(runs), "latency_ratio": 0.5, "flops_ratio": 0.5}
        for name, runs in ((UNREDUCED, [1.0]), ("ours", []), (f"ours{SLICED}", [0.5]))
    ]
    assert clip.overheads(pd.DataFrame(rows)).empty


def test_cases_of_one_run_stand_in_one_table_once():
    rows = [
        (clip_cost.ORIGINAL, UNREDUCED, 224, 2.0), (clip_cost.ORIGINAL, "keep 0.5", 224, 1.0),
        (clip_cost.METHODS, UNREDUCED, 224, 4.0), (clip_cost.METHODS, "ours", 224, 1.0),
        (clip_cost.METHODS, f"ours{SLICED}", 224, 1.0), (clip_cost.RESOLUTION, UNREDUCED, 128, 1.0),
        (clip_cost.RESOLUTION, "ours", 128, 0.5), (clip_cost.SMALL, UNREDUCED, 64, 1.0),
    ]  # fmt: skip
    frame = pd.DataFrame(rows, columns=["part", "variant", "side", "seconds"])
    frame = frame.assign(machine="M", batch=1, runs=[np.array([one]) for one in frame["seconds"]])
    found = clip.measured(frame.assign(memory_bytes=1.0, flops=1.0))
    assert list(found["variant"]) == [UNREDUCED, "keep 0.5", "ours", f"{UNREDUCED}, 128 pixels", "ours, 128 pixels"]
    assert list(found["latency_ratio"]) == [1, 0.5, 0.25, 1, 0.5]
