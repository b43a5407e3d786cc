"""Outcomes of token reduction as frames, tests, figures and tables, on cases that one can check by hand."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from lib import records
from lib.report import pruning, pruning_figures
from lib.tasks.reductions import Outcome


def bits(text):
    return f"{int(text, 2):0{(len(text) + 3) // 4}x}"


def outcome(name, text, target=None, ratio=1.0):
    return Outcome(
        name, 1.0 if target is None else 0.5, target, ratio, text.count("1") / len(text), 1.0, 1.0, bits(text)
    )


@pytest.fixture
def frame():
    results = {
        0: [outcome("untouched", "11110"), outcome("ours", "11100", 0.5, 0.49), outcome("other", "00011", 0.5, 0.5)],
        1: [outcome("untouched", "11111"), outcome("ours", "11111", 0.5, 0.51), outcome("other", "00111", 0.5, 0.5)],
    }
    cases = pruning.cases(results, task="scenes", images=5)
    record = records.new("clip_accuracy_scenes", cases, seed=0, parameters={})
    return pruning.outcomes([record])


def test_outcomes_become_cases_and_come_back(frame):
    assert len(frame) == 6
    ours = frame[(frame["variant"] == "ours") & (frame["seed"] == 0)].iloc[0]
    assert ours["hits"].tolist() == [True, True, True, False, False]
    assert ours["retained"] == pytest.approx(3 / 4)
    assert ours["ratio"] == pytest.approx(0.5)  # the mean over checkpoints
    assert ours["task"] == "scenes"


def test_a_summary_has_the_mean_over_checkpoints_with_its_interval(frame):
    row = pruning.summary(frame).set_index("variant").loc["ours"]
    assert row["retained"] == pytest.approx((3 / 4 + 1) / 2)
    assert row["retained_low"] < row["retained"] < row["retained_high"]
    assert row["seeds"] == 2


def test_a_duel_counts_the_images_that_one_alone_answers(frame):
    row = pruning.duels(frame, "ours", "other").iloc[0]
    # seed 0: 11100 against 00011, three and two; seed 1: 11111 against 00111, two and none
    assert (row["won"], row["lost"]) == (5, 2)
    assert row["p"] == pytest.approx(2 * (1 + 7 + 21) / 2**7)
    assert row["images"] == 10
    assert pruning.duels(frame, "ours", "nobody").empty


def test_ahead_and_behind_are_counted():
    found = pd.DataFrame({"gained": [0.1, 0.01, -0.1], "p": [0.001, 0.5, 0.01]})
    assert pruning.ahead(found) == "ahead at 2 of 3, beyond chance (p < 5 %) at 1, behind beyond chance at 1"
    assert pruning.ahead(found.iloc[:2]).endswith("behind beyond chance at none")


def test_a_twin_that_slices_tells_what_the_reduction_costs():
    timed = {"untouched": [10.0, 20.0], "ours": [6.0, 12.0], "ours, sliced": [5.0, 10.0], "bfloat16": [3.0, 6.0]}
    counted = {"untouched": 100, "ours": 50, "ours, sliced": 50, "bfloat16": 100}
    rows = [
        {"machine": "M", "variant": name, "runs": np.array(runs), "latency_ratio": runs[0] / 10}
        | {"flops_ratio": counted[name] / 100}
        for name, runs in timed.items()
    ]
    (found,) = pruning.overheads(pd.DataFrame(rows)).to_dict("records")
    assert found["variant"] == "ours"
    assert found["overhead"] == pytest.approx(0.1)
    assert found["excess"] == pytest.approx(0.2)


def test_the_seeds_table_has_its_ratios():
    table = pruning.seed_vtp()
    half = table[table["keep"] == 0.5].iloc[0]
    assert half["latency_ratio"] == pytest.approx(46 / 81)
    assert half["memory_ratio"] == pytest.approx(380 / 420)


def test_gone_patches_are_pale_and_merged_ones_of_one_colour():
    image = np.arange(4 * 4 * 3).reshape(4, 4, 3) / 48
    _, ax = plt.subplots()
    pruning_figures.kept(ax, image, np.array([1, 1, -1, 2]), "answer")
    shown = ax.images[0].get_array()
    top = image[:2].mean((0, 1))
    np.testing.assert_allclose(shown[:2], np.broadcast_to(top, (2, 4, 3)))
    np.testing.assert_allclose(shown[2:, :2], 0.2 * image[2:, :2] + 0.8)
    np.testing.assert_allclose(shown[2:, 2:], image[2:, 2:])
    assert len(ax.lines) == 3  # between the two that stay, and between each and what is gone


def test_pictures_and_tables_are_made(frame):
    laid = pruning.summary(frame.dropna(subset="target")).assign(latency_ratio=0.5)
    _, axes = plt.subplots(1, 3)
    pruning_figures.retained_over(axes[0], laid, "latency_ratio", "latency", "scenes")
    assert {line.get_label() for line in axes[0].lines} >= {"ours", "other"}
    parts = pd.DataFrame(
        [{"side": side, "part": part, "flops": side} for side in (32, 64) for part in ("attention", "MLP")]
    )
    pruning_figures.operations_by_part(axes[1], parts)
    assert "Attention between tokens: 50 % at 64 pixels" in axes[1].get_title()
    pruning_figures.latency_by_keep(axes[2], pruning.seed_vtp().assign(flops_ratio=np.nan))
    text = pruning.retained_table(laid, "Table 1. What is left").data
    assert "| ours" in text
    assert "87.5 ± " in text
    means = pruning.summary(frame)
    assert "keep 0.5" in pruning.keep_table(means, "Table 3. By keep").data
    assert "100.0 ± 0.0" in pruning.fidelity_table(means, "Table 4. Fidelity").data
    duels = pruning.duels(frame, "ours", "other").assign(against="other")
    assert " 5 : 2 " in pruning.duel_table(duels, "Table 2. Duels").data
    figure = pruning_figures.gallery(np.zeros((2, 4, 4, 3)), ["a", "b"], {"ours": (np.ones((2, 4), int), ["a", "b"])})
    assert len(figure.axes) == 4
    plt.close("all")


def test_a_score_is_a_worse_guide_surely_or_on_average_or_not():
    rows = [
        ("sure", 0.5, -0.2, -0.1), ("sure", 0.3, -0.3, -0.2), ("sure", 0.9, 0.2, 0.3),  # above the share that counts
        ("mean", 0.5, -0.2, 0.1), ("mean", 0.3, -0.3, -0.2),
        ("no", 0.5, -0.2, -0.1), ("no", 0.3, 0.1, 0.2),
    ]  # fmt: skip
    frame = pd.DataFrame(rows, columns=["task", "keep", "difference", "difference_high"])
    assert pruning.worse_guides(frame, 0.7) == (["sure"], ["mean"])


def test_a_budget_is_held_against_the_line_between_fixed_numbers():
    rows = [("fixed", 0.4, 0.6), ("fixed", 0.8, 1.0), ("adaptive", 0.5, 0.65), ("adaptive", 0.9, 1.0)]
    frame = pd.DataFrame(rows, columns=["variant", "ratio", "retained"]).assign(machine="M", task="t")
    found = pruning.over_fixed(frame, fixed="fixed")
    assert list(found["ratio"]) == [0.5]  # beyond the line nothing is known
    assert list(found["gained"]) == pytest.approx([0.65 - 0.7])
