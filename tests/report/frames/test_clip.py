"""Outcomes of token reduction as frames and tests, on cases that one can check by hand."""

import numpy as np
import outcomes
import pandas as pd
import pytest

from lib.experiments import clip_cost
from lib.experiments.clip_variants import SLICED, UNREDUCED
from lib.report.frames import clip


@pytest.fixture
def frame():
    return outcomes.frame()


def test_a_summary_has_the_mean_over_checkpoints_with_its_interval(frame):
    row = clip.summary(frame).set_index("variant").loc["ours"]
    assert row["retained"] == pytest.approx((3 / 4 + 1) / 2)
    assert row["retained_low"] < row["retained"] < row["retained_high"]
    assert row["seeds"] == 2


def test_a_duel_counts_the_images_that_one_alone_answers(frame):
    row = clip.duels(frame, "ours", "other").iloc[0]
    # seed 0: 11100 against 00011, three and two; seed 1: 11111 against 00111, two and none
    assert (row["won"], row["lost"]) == (5, 2)
    assert row["p"] == pytest.approx(2 * (1 + 7 + 21) / 2**7)
    assert row["images"] == 10
    assert clip.duels(frame, "ours", "nobody").empty


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
