"""Accuracies over seeds: intervals that one can check by hand, differences seed by seed."""

import numpy as np
import pandas as pd
import pytest

from lib.report import accuracy
from lib.report.frames import Missing


def frame(**accuracies):
    rows = [
        {"machine": "m", "task": "t", "variant": variant, "budget": budget, "seed": seed, "accuracy": share}
        for variant, (budget, shares) in accuracies.items()
        for seed, share in shares.items()
    ]
    return pd.DataFrame(rows)


def test_an_interval_of_two_values_is_students():
    mean, low, high = accuracy.interval([0.4, 0.6])
    assert mean == pytest.approx(0.5)
    assert (high - mean, mean - low) == pytest.approx((12.706 * 0.1,) * 2, rel=1e-4)


def test_an_interval_holds_the_truth_as_often_as_it_says():
    draws = np.random.default_rng(0).normal(size=(2000, 5))
    inside = [low <= 0 <= high for _, low, high in map(accuracy.interval, draws)]
    assert 0.935 < np.mean(inside) < 0.965


def test_one_value_makes_no_interval():
    with pytest.raises(Missing, match="1 values: an interval needs at least 2"):
        accuracy.interval([0.5])


def test_differences_are_taken_seed_by_seed():
    found = accuracy.compared(frame(baseline=("steps", {0: 0.5, 1: 0.9}), low=("steps", {1: 0.91, 0: 0.51}))).set_index(
        "variant"
    )
    assert found.loc["low", "difference"] == pytest.approx(0.01)
    assert found.loc["low", "difference_high"] == pytest.approx(0.01)
    assert found.loc["low", "accuracy"] == pytest.approx(0.71)
    assert found.loc["baseline", "difference"] == 0
    assert found.loc["low", "seeds"] == 2


def test_a_kind_may_be_of_any_columns():
    rows = frame(original=("-", {0: 0.5, 1: 0.9}), modal=("-", {0: 0.4, 1: 0.8})).assign(order=[64, 64, 8, 8])
    found = accuracy.compared(rows, "original", ("variant", "order")).set_index("order")
    assert found.loc[8, "difference"] == pytest.approx(-0.1)
    assert "budget" not in found


def test_a_seed_that_the_baseline_lacks_is_named():
    with pytest.raises(Missing, match="t: low has seed 2, baseline has not"):
        accuracy.compared(frame(baseline=("steps", {0: 0.5, 1: 0.9}), low=("steps", {1: 0.9, 2: 0.5})))


@pytest.mark.parametrize(
    ("low", "middle", "high", "verdict"),
    [
        (-0.009, 0.0, 0.01, "kept"),
        (-0.02, -0.009, 0.01, "kept on average"),
        (-0.04, -0.02, 0.0, "lost on average"),
        (-0.04, -0.03, -0.011, "lost"),
    ],
)
def test_a_variant_is_judged_by_its_mean_and_its_interval(low, middle, high, verdict):
    rows = pd.DataFrame([{"difference_low": low, "difference": middle, "difference_high": high}])
    assert list(accuracy.judged(rows)["verdict"]) == [verdict]


@pytest.mark.parametrize(("verdict", "found"), [("kept on average", "low"), ("lost on average", "baseline")])
def test_the_fastest_of_those_that_keep_the_accuracy_is_found(verdict, found):
    rows = [("baseline", "kept", 1.0), ("low", verdict, 0.3), ("dual", "kept", 1.4), ("fast", "lost", 0.1)]
    frame = pd.DataFrame(rows, columns=["variant", "verdict", "latency_ratio"]).assign(machine="m", task="t")
    assert list(accuracy.fastest(frame)["variant"]) == [found]


def test_training_time_is_the_sum_over_all_seeds():
    rows = pd.DataFrame({"runs": [np.array([30.0, 60.0]), np.array([30.0])]})
    assert accuracy.training_minutes(rows) == 2
