import numpy as np
import pandas as pd
import pytest

from lib.report import frames
from lib.report.frames import original


@pytest.fixture
def by_variant(factors):
    return factors.set_index("variant")


def test_a_ratio_is_formed_round_by_round(by_variant):
    row = by_variant.loc["r = 2"]
    assert (row["latency_ratio_low"], row["latency_ratio"], row["latency_ratio_high"]) == (2, 2, 2)
    assert (row["seconds_low"], row["seconds"], row["seconds_high"]) == (3, 4, 5)


def test_the_baseline_is_one(by_variant):
    row = by_variant.loc["baseline"]
    assert row["latency_ratio"] == row["memory_ratio"] == row["flops_ratio"] == 1


def test_memory_is_the_peak_and_the_input(by_variant):
    assert by_variant.loc["r = 2", "memory_bytes"] == 800
    assert by_variant.loc["r = 2", "memory_ratio"] == 2


def test_a_failed_case_keeps_its_error_and_has_no_numbers(by_variant):
    row = by_variant.loc["r = 4"]
    assert row["error"].startswith("out of memory")
    assert np.isnan([row["seconds"], row["latency_ratio"], row["memory_ratio"]]).all()


def test_a_group_without_a_baseline_is_missing_and_named(factors):
    with pytest.raises(frames.Missing, match=r"'length': 16.*0 cases named 'baseline'"):
        frames.ratios(factors.query("variant != 'baseline'"))


def test_a_group_with_two_baselines_is_an_error(factors):
    with pytest.raises(ValueError, match=r"2 cases named 'baseline'"):
        frames.ratios(pd.concat([factors, factors.query("variant == 'baseline'")]))


def test_the_exponent_of_a_power_law_is_found():
    lengths = [10, 20, 40, 80]
    middle, low, high = frames.slope(lengths, [length**1.5 for length in lengths])
    assert middle == pytest.approx(1.5)
    assert low == pytest.approx(high)


def test_the_interval_of_a_slope_holds_the_truth_as_often_as_it_says():
    noise = np.random.default_rng(0)
    lengths = np.array([8, 16, 32, 64, 128])
    hits = 0
    for _ in range(400):
        _, low, high = frames.slope(list(lengths), list(lengths * np.exp(noise.normal(0, 0.1, 5))))
        hits += low <= 1 <= high
    assert 0.92 < hits / 400 < 0.98


def test_two_lengths_make_no_interval():
    with pytest.raises(frames.Missing, match="2 sizes"):
        frames.slope([1, 2], [1.0, 2.0])


def test_slopes_are_per_machine_and_variant(lengths):
    found = frames.slopes(lengths).set_index("variant")
    assert found.loc["baseline", "slope"] == pytest.approx(1)
    assert found.loc["r = 2", "slope"] == pytest.approx(0.5)


def test_the_original_reports_table_carries_its_own_ratios():
    printed = original.mrss().set_index("variant")
    assert printed.loc["r = 4", "latency_ratio"] == pytest.approx(45.68 / 30.50)
    assert printed.loc["r = 1", "flops_ratio"] == pytest.approx(111.53 / 38.59)
    assert pd.isna(printed.loc["baseline", "factor"])


def test_a_slope_may_leave_out_the_smallest_sizes():
    frame = pd.DataFrame({"machine": "M", "variant": "v", "dim": [1, 2, 4, 8], "flops": [9, 4, 16, 64]})
    found = frames.slopes(frame, "flops", "dim", last=3)
    assert found["slope"].iloc[0] == pytest.approx(2)


def test_one_case_is_found_by_its_values(rows):
    assert frames.only(rows, part="factors", variant="r = 2")["memory_bytes"] == 800
    assert list(frames.where(rows, part="factors")["variant"]) == ["baseline", "r = 1", "r = 2", "r = 4"]


def test_an_unknown_value_equals_nothing(rows):
    assert list(frames.where(rows, factor=1)["variant"]) == ["r = 1"]  # the baseline has no factor


@pytest.mark.parametrize(
    ("values", "count", "kind"),
    [({"variant": "r = 9"}, "0 cases", frames.Missing), ({"part": "factors"}, "[2-9] cases", ValueError)],
)
def test_none_or_several_cases_are_told(rows, values, count, kind):
    with pytest.raises(kind, match=f"{values}: {count}, 1 is needed".replace("{", r"\{")):
        frames.only(rows, **values)


@pytest.mark.parametrize(
    ("sizes", "costs"), [([1, 2, 3], [0, 1, 2]), ([0, 1, 2], [1, 2, 3]), ([1, 2, 3], [1, 2, float("nan")])]
)
def test_a_slope_of_what_is_not_above_zero_is_missing(sizes, costs):
    with pytest.raises(frames.Missing, match="an exponent needs both above 0"):
        frames.slope(sizes, costs)
