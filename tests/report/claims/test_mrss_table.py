"""Verdicts on the original report's own table follow its numbers: each is made to come out every way."""

import pandas as pd
import pytest

from lib.report.claims import mrss_table as judges
from lib.report.claims.ledger import CONTRADICTED, CORRECTED, REPRODUCED
from lib.report.frames import Missing, original


@pytest.fixture
def table():
    return original.mrss()


def test_the_reports_gain_is_against_its_own_factor_one(table):
    found = judges.latency_falls(table)
    assert found.verdict == CONTRADICTED
    assert "−27 % against MRSS r = 1" in found.evidence
    assert "+50 % against the baseline" in found.evidence
    assert judges.latency_falls(table.assign(latency_ratio=[1, 2, 1.5, 0.9])).verdict == REPRODUCED


def test_twice_the_baseline_is_judged_by_latency_and_operations(table):
    assert judges.cost_below_twice(table).verdict == CONTRADICTED
    assert judges.cost_below_twice(table.assign(latency_ratio=1.5, flops_ratio=1.9)).verdict == REPRODUCED
    assert judges.cost_below_twice(table.assign(latency_ratio=2.0, flops_ratio=1.9)).verdict == CONTRADICTED


def test_memory_may_fall_always_or_from_two_on_or_not(table):
    assert judges.memory_falls(table).verdict == CORRECTED
    assert judges.memory_falls(table.assign(memory_ratio=[1, 4, 3, 2])).verdict == REPRODUCED
    assert judges.memory_falls(table.assign(memory_ratio=[1, 2, 3, 4])).verdict == CONTRADICTED


@pytest.mark.parametrize("ratios", [[], [2.0], [2.0, float("nan"), 1.0]])
def test_memory_of_too_few_factors_decides_nothing(ratios):
    with pytest.raises(Missing, match=f"{len(ratios)} ratios to fall"):
        judges.falling(pd.Series(ratios, dtype=float))


@pytest.mark.parametrize(("ratios", "verdict"), [([2.0, 1.0], REPRODUCED), ([1.0, 2.0], CONTRADICTED)])
def test_of_two_factors_there_is_no_fall_from_the_second_on(ratios, verdict):
    assert judges.falling(pd.Series(ratios)) == verdict


def test_operations_fall_against_the_baseline_or_not(table):
    found = judges.operations_fall(table)
    assert found.verdict == CONTRADICTED
    assert "+189 %, +139 %, +114 %" in found.evidence
    assert judges.operations_fall(table.assign(flops_ratio=[1, 3, 2, 0.9])).verdict == REPRODUCED


def test_throughput_that_rises_but_stays_below_the_baselines_is_a_correction(table):
    found = judges.throughput_rises(table)
    assert found.verdict == CORRECTED
    assert "0.49× → 0.59× → 0.67×" in found.evidence
    faster = table.assign(throughput=[20, 16, 20, 25])
    assert judges.throughput_rises(faster).verdict == REPRODUCED
    assert judges.throughput_rises(table.assign(throughput=[20, 25, 20, 16])).verdict == CONTRADICTED
