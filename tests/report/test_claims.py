"""Verdicts follow the numbers: each is made to come out both ways."""

import pandas as pd
import pytest

from lib.report import claims, frames
from lib.report.claims import CONTRADICTED, CORRECTED, REPRODUCED, UNSUPPORTED


@pytest.fixture
def seed():
    return frames.seed_mrss()


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
def test_latency_is_judged_by_quartiles_against_the_baseline(seed, quartiles, verdict):
    assert claims.latency_falls(seed, recorded(*quartiles)).verdict == verdict


def test_the_seeds_gain_is_against_its_own_factor_one(seed):
    evidence = claims.latency_falls(seed, recorded(1.4, 1.5, 1.6)).evidence
    assert "−27 % against MRSS r = 1" in evidence
    assert "+50 % against the baseline" in evidence


@pytest.mark.parametrize(
    ("low", "high", "verdict"), [(0.8, 0.9, REPRODUCED), (1.01, 1.1, CONTRADICTED), (0.9, 1.1, UNSUPPORTED)]
)
def test_growth_is_judged_by_the_interval_of_the_variant(low, high, verdict):
    slopes = pd.DataFrame(
        {"machine": "M", "variant": ["baseline", "r = 4"], "slope": [1, 1], "low": [0.5, low], "high": [0.6, high]}
    )
    assert claims.runtime_is_sublinear(slopes).verdict == verdict


def test_twice_the_baseline_is_judged_by_the_seeds_own_table(seed):
    assert claims.cost_below_twice(seed, recorded(1, 1, 1)).verdict == CONTRADICTED
    cheap = seed.assign(latency_ratio=1.5, flops_ratio=1.9)
    assert claims.cost_below_twice(cheap, recorded(1, 1, 1)).verdict == REPRODUCED


def test_memory_may_fall_always_or_from_two_on_or_not(seed):
    assert claims.memory_falls(seed, recorded(1, 1, 1)).verdict == CORRECTED
    assert claims.memory_falls(seed.assign(memory_ratio=[1, 4, 3, 2]), recorded(1, 1, 1)).verdict == REPRODUCED
    assert claims.memory_falls(seed.assign(memory_ratio=[1, 2, 3, 4]), recorded(1, 1, 1)).verdict == CONTRADICTED


def test_operations_match_to_the_printed_digit_or_not(seed):
    printed = [38_590_000_000, 111_530_000_000, 92_240_000_000, 82_590_000_000]
    assert claims.operations_match(seed, printed).verdict == REPRODUCED
    assert claims.operations_match(seed, [printed[0] + 10_000_000, *printed[1:]]).verdict == CONTRADICTED


def test_a_branch_without_gradient_contradicts_a_learned_gate():
    blind = claims.gate_learns({1: True, 2: False, 4: False})
    assert blind.verdict == CONTRADICTED
    assert "r = 2 and r = 4" in blind.evidence
    assert claims.gate_learns({1: True, 2: True}).verdict == REPRODUCED


def test_fidelity_without_training_is_unsupported():
    assert claims.fidelity_is_kept(0).verdict == UNSUPPORTED


def test_the_table_shows_every_verdict(seed):
    verdicts = [claims.fidelity_is_kept(0), claims.gate_learns({1: True})]
    text = claims.verdict_table(verdicts, "caption").data
    assert all(verdict.id in text and verdict.verdict in text for verdict in verdicts)


@pytest.mark.parametrize(
    ("departure", "verdict"),
    [
        ({"fixed": 1e-15, "selective": 0.4}, CONTRADICTED),
        ({"fixed": 1e-15, "selective": 1e-15}, REPRODUCED),
        ({"fixed": 0.1, "selective": 0.4}, UNSUPPORTED),  # the control failed
    ],
)
def test_a_convolution_obeys_superposition(departure, verdict):
    assert claims.trains_as_a_convolution(departure).verdict == verdict


@pytest.mark.parametrize(
    ("quartiles", "operations", "verdict"),
    [
        ((0.97, 1.0, 1.03), 1.0, CONTRADICTED),
        ((0.3, 0.4, 0.5), 1.0, REPRODUCED),
        ((0.97, 1.0, 1.03), 0.5, REPRODUCED),
        ((0.8, 0.9, 1.0), 1.0, UNSUPPORTED),
    ],
)
def test_selection_must_save_operations_or_time(quartiles, operations, verdict):
    gate = pd.DataFrame(
        [{"machine": "M", "variant": "step closed", "flops_ratio": operations}
         | dict(zip(("latency_ratio_low", "latency_ratio", "latency_ratio_high"), quartiles, strict=True))]
    )  # fmt: skip
    assert claims.selection_saves_compute(gate).verdict == verdict


@pytest.mark.parametrize(
    ("scan", "block", "verdict"), [(1.0, 1.9, CORRECTED), (2.0, 2.0, REPRODUCED), (1.0, 1.1, CONTRADICTED)]
)
def test_the_square_of_the_width_is_looked_for_in_scan_and_block(scan, block, verdict):
    found = claims.cost_is_quadratic_in_width({"scan over D": scan, "scan over N": 1.0, "block over D": block})
    assert found.verdict == verdict
