import numpy as np
import pandas as pd
import pytest

from lib.report import frames


@pytest.fixture
def factors(record):
    return frames.ratios(frames.gather([record], "factors")).set_index("variant")


def test_a_ratio_is_formed_round_by_round(factors):
    row = factors.loc["r = 2"]
    assert (row["latency_ratio_low"], row["latency_ratio"], row["latency_ratio_high"]) == (2, 2, 2)
    assert (row["seconds_low"], row["seconds"], row["seconds_high"]) == (3, 4, 5)


def test_the_baseline_is_one(factors):
    row = factors.loc["baseline"]
    assert row["latency_ratio"] == row["memory_ratio"] == row["flops_ratio"] == 1


def test_memory_is_the_peak_and_the_input(factors):
    assert factors.loc["r = 2", "memory_bytes"] == 800
    assert factors.loc["r = 2", "memory_ratio"] == 2


def test_a_failed_case_keeps_its_error_and_has_no_numbers(factors):
    row = factors.loc["r = 4"]
    assert row["error"].startswith("out of memory")
    assert np.isnan([row["seconds"], row["latency_ratio"], row["memory_ratio"]]).all()


def test_a_group_without_a_baseline_is_named(record):
    frame = frames.gather([record], "factors").query("variant != 'baseline'")
    with pytest.raises(ValueError, match=r"'length': 16.*0 cases named 'baseline'"):
        frames.ratios(frame)


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
    with pytest.raises(ValueError, match="2 sizes"):
        frames.slope([1, 2], [1.0, 2.0])


def test_slopes_are_per_machine_and_variant(record):
    found = frames.slopes(frames.gather([record], "lengths")).set_index("variant")
    assert found.loc["baseline", "slope"] == pytest.approx(1)
    assert found.loc["r = 2", "slope"] == pytest.approx(0.5)


def test_the_seeds_table_carries_its_own_ratios():
    seed = frames.seed_mrss().set_index("variant")
    assert seed.loc["r = 4", "latency_ratio"] == pytest.approx(45.68 / 30.50)
    assert seed.loc["r = 1", "flops_ratio"] == pytest.approx(111.53 / 38.59)
    assert pd.isna(seed.loc["baseline", "factor"])


def test_an_unknown_part_is_named_beside_those_there_are(record):
    with pytest.raises(ValueError, match="no part 'speed' among 'factors', 'lengths'"):
        frames.gather([record], "speed")


def test_no_record_at_all_is_told():
    with pytest.raises(ValueError, match="part 'lengths' of no record"):
        frames.gather([], "lengths")


def test_a_slope_may_leave_out_the_smallest_sizes():
    frame = pd.DataFrame({"machine": "M", "variant": "v", "dim": [1, 2, 4, 8], "flops": [9, 4, 16, 64]})
    found = frames.slopes(frame, "flops", "dim", last=3)
    assert found["slope"].iloc[0] == pytest.approx(2)


def test_one_case_is_found_by_its_values(record):
    assert frames.only(frames.cases(record), part="factors", variant="r = 2")["memory_bytes"] == 800
    found = frames.where(frames.cases(record), part="factors")
    assert list(found["variant"]) == ["baseline", "r = 1", "r = 2", "r = 4"]


@pytest.mark.parametrize(("values", "count"), [({"variant": "r = 9"}, "0 cases"), ({"part": "factors"}, "[2-9] cases")])
def test_none_or_several_cases_are_told(record, values, count):
    with pytest.raises(ValueError, match=f"{values}: {count}, 1 is needed".replace("{", r"\{")):
        frames.only(frames.cases(record), **values)
