"""Verdicts on the operator proxy follow the numbers: each is made to come out every way."""

import pandas as pd
import pytest

from lib.report.claims import mrss as judges
from lib.report.claims.ledger import CONTRADICTED, CORRECTED, REPRODUCED, UNSUPPORTED
from lib.report.frames import original


@pytest.fixture
def table():
    return original.mrss()


def recorded(low, middle, high, flops=1.9, memory=(1.8, 1.7, 1.6)):
    return pd.DataFrame(
        {
            "machine": "M",
            "factor": pd.array([1, 2, 4], dtype="Int64"),
            "latency_ratio": [1.9, 1.9, middle],
            "latency_ratio_low": [1.9, 1.9, low],
            "latency_ratio_high": [1.9, 1.9, high],
            "memory_ratio": memory,
            "flops_ratio": [1.5, 1.5, flops],
        }
    )


@pytest.mark.parametrize(
    ("quartiles", "verdict"),
    [((0.8, 0.9, 0.95), REPRODUCED), ((1.4, 1.5, 1.6), CONTRADICTED), ((0.9, 1.0, 1.1), UNSUPPORTED)],
)
def test_latency_is_judged_by_quartiles_against_the_baseline(quartiles, verdict):
    found = judges.latency_falls(recorded(*quartiles))
    assert found.verdict == verdict
    assert f"{quartiles[1]:.2f}× to 1.90× the baseline" in found.evidence


@pytest.mark.parametrize(
    ("low", "high", "verdict"), [(0.8, 0.9, REPRODUCED), (1.01, 1.1, CONTRADICTED), (0.9, 1.1, UNSUPPORTED)]
)
def test_growth_is_judged_by_the_interval_of_the_variant(low, high, verdict):
    slopes = pd.DataFrame(
        {"machine": "M", "variant": ["baseline", "r = 4"], "slope": [1, 1], "low": [0.5, low], "high": [0.6, high]}
    )
    assert judges.runtime_is_sublinear(slopes).verdict == verdict


@pytest.mark.parametrize(
    ("quartiles", "flops", "verdict"),
    [
        ((1.4, 1.5, 1.6), 1.9, REPRODUCED),
        ((1.4, 1.9, 2.1), 1.9, UNSUPPORTED),  # the quartiles lie on both sides
        ((2.1, 2.2, 2.3), 1.9, CONTRADICTED),
        ((1.4, 1.5, 1.6), 2.0, CONTRADICTED),  # twice is not below twice
    ],
)
def test_twice_the_baseline_is_judged_by_quartiles_and_operations(quartiles, flops, verdict):
    assert judges.cost_below_twice(recorded(*quartiles, flops=flops)).verdict == verdict


@pytest.mark.parametrize(
    ("memory", "verdict"),
    [((1.8, 1.7, 1.6), REPRODUCED), ((1.7, 1.8, 1.6), CORRECTED), ((1.7, 1.8, 1.9), CONTRADICTED)],
)
def test_memory_may_fall_always_or_from_two_on_or_not(memory, verdict):
    found = judges.memory_falls(recorded(1, 1, 1, memory=memory))
    assert found.verdict == verdict
    assert f"r = 2: {memory[1]:.2f}×" in found.evidence


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


def test_a_branch_without_gradient_contradicts_a_learned_gate():
    mended = {1: True, 2: True, 4: True}
    blind = judges.gate_learns({1: True, 2: False, 4: False}, mended)
    assert blind.verdict == CONTRADICTED
    assert "r = 2 and r = 4" in blind.evidence
    assert "one does at r = 1, r = 2 and r = 4" in blind.evidence
    assert judges.gate_learns({1: True, 2: True}, mended).verdict == REPRODUCED
