"""Verdicts follow the numbers: each is made to come out both ways."""

import pandas as pd
import pytest

from lib.report.claims import mrss as judges
from lib.report.claims.ledger import CONTRADICTED, CORRECTED, REPRODUCED, UNSUPPORTED
from lib.report.frames import original


@pytest.fixture
def table():
    return original.mrss()


def recorded(low, middle, high):
    return pd.DataFrame(
        {
            "machine": "M",
            "factor": pd.array([1, 2], dtype="Int64"),
            "latency_ratio": [3.0, middle],
            "latency_ratio_low": [3.0, low],
            "latency_ratio_high": [3.0, high],
            "memory_ratio": [1.7, 1.6],
        }
    )


@pytest.mark.parametrize(
    ("quartiles", "verdict"),
    [((0.8, 0.9, 0.95), REPRODUCED), ((1.4, 1.5, 1.6), CONTRADICTED), ((0.9, 1.0, 1.1), UNSUPPORTED)],
)
def test_latency_is_judged_by_quartiles_against_the_baseline(table, quartiles, verdict):
    assert judges.latency_falls(table, recorded(*quartiles)).verdict == verdict


def test_the_reports_gain_is_against_its_own_factor_one(table):
    evidence = judges.latency_falls(table, recorded(1.4, 1.5, 1.6)).evidence
    assert "−27 % against MRSS r = 1" in evidence
    assert "+50 % against the baseline" in evidence


@pytest.mark.parametrize(
    ("low", "high", "verdict"), [(0.8, 0.9, REPRODUCED), (1.01, 1.1, CONTRADICTED), (0.9, 1.1, UNSUPPORTED)]
)
def test_growth_is_judged_by_the_interval_of_the_variant(low, high, verdict):
    slopes = pd.DataFrame(
        {"machine": "M", "variant": ["baseline", "r = 4"], "slope": [1, 1], "low": [0.5, low], "high": [0.6, high]}
    )
    assert judges.runtime_is_sublinear(slopes).verdict == verdict


def test_twice_the_baseline_is_judged_by_the_reports_own_table(table):
    assert judges.cost_below_twice(table, recorded(1, 1, 1)).verdict == CONTRADICTED
    cheap = table.assign(latency_ratio=1.5, flops_ratio=1.9)
    assert judges.cost_below_twice(cheap, recorded(1, 1, 1)).verdict == REPRODUCED


def test_memory_may_fall_always_or_from_two_on_or_not(table):
    assert judges.memory_falls(table, recorded(1, 1, 1)).verdict == CORRECTED
    assert judges.memory_falls(table.assign(memory_ratio=[1, 4, 3, 2]), recorded(1, 1, 1)).verdict == REPRODUCED
    assert judges.memory_falls(table.assign(memory_ratio=[1, 2, 3, 4]), recorded(1, 1, 1)).verdict == CONTRADICTED


def proxies(flops):
    factors = pd.array([None, 1, 2, 4, 8], dtype="Int64")
    names = ["baseline", "r = 1", "r = 2", "r = 4", "r = 8"]
    return pd.DataFrame({"variant": names, "factor": factors, "flops": [*flops, 1]})  # the last is not the report's


def test_operations_match_to_the_printed_digit_or_not(table):
    printed = [38_590_000_000, 111_530_000_000, 92_240_000_000, 82_590_000_000]
    off = [printed[0] + 10_000_000, *printed[1:]]
    assert judges.operations_match(table, proxies(printed), printed).verdict == REPRODUCED
    assert judges.operations_match(table, proxies(off), printed).verdict == CONTRADICTED
    assert judges.operations_match(table, proxies(printed), off).verdict == CONTRADICTED


def test_operations_fall_against_the_baseline_or_not(table):
    found = judges.operations_fall(table)
    assert found.verdict == CONTRADICTED
    assert "+189 %, +139 %, +114 %" in found.evidence
    assert judges.operations_fall(table.assign(flops_ratio=[1, 3, 2, 0.9])).verdict == REPRODUCED


def test_a_branch_without_gradient_contradicts_a_learned_gate():
    mended = {1: True, 2: True, 4: True}
    blind = judges.gate_learns({1: True, 2: False, 4: False}, mended)
    assert blind.verdict == CONTRADICTED
    assert "r = 2 and r = 4" in blind.evidence
    assert "one does at r = 1, r = 2 and r = 4" in blind.evidence
    assert judges.gate_learns({1: True, 2: True}, mended).verdict == REPRODUCED


def test_throughput_that_rises_but_stays_below_the_baselines_is_a_correction(table):
    found = judges.throughput_rises(table)
    assert found.verdict == CORRECTED
    assert "0.49× → 0.59× → 0.67×" in found.evidence
    faster = table.assign(throughput=[20, 16, 20, 25])
    assert judges.throughput_rises(faster).verdict == REPRODUCED
    assert judges.throughput_rises(table.assign(throughput=[20, 25, 20, 16])).verdict == CONTRADICTED
