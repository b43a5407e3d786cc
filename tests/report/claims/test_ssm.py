"""Verdicts on Mamba and its scan follow the numbers: each is made to come out every way."""

import pandas as pd
import pytest

from lib.report.claims import ssm
from lib.report.claims.ledger import CONTRADICTED, CORRECTED, REPRODUCED, UNSUPPORTED


@pytest.mark.parametrize(
    ("departure", "verdict"),
    [
        ({"fixed": 1e-15, "selective": 0.4}, CONTRADICTED),
        ({"fixed": 1e-15, "selective": 1e-15}, REPRODUCED),
        ({"fixed": 0.1, "selective": 0.4}, UNSUPPORTED),  # the control failed
    ],
)
def test_a_convolution_obeys_superposition(departure, verdict):
    assert ssm.trains_as_a_convolution(departure).verdict == verdict


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
    assert ssm.selection_saves_compute(gate).verdict == verdict


@pytest.mark.parametrize(
    ("scan", "block", "verdict"), [(1.0, 1.9, CORRECTED), (2.0, 2.0, REPRODUCED), (1.0, 1.1, CONTRADICTED)]
)
def test_the_square_of_the_width_is_looked_for_in_scan_and_block(scan, block, verdict):
    found = ssm.cost_is_quadratic_in_width({"scan over D": scan, "scan over N": 1.0, "block over D": block})
    assert found.verdict == verdict


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (0.9, 1.1, REPRODUCED),
        (0.69, 1.23, UNSUPPORTED),  # wide, whatever its middle
        (0.95, 1.15, UNSUPPORTED),
        (1.11, 1.2, CONTRADICTED),
        (0.7, 0.89, CONTRADICTED),
    ],
)
@pytest.mark.parametrize(("judge", "variant"), [(ssm.scan_is_linear, "scan, cpp"), (ssm.kernels_are_linear, "S4D")])
def test_time_is_linear_where_the_whole_interval_is_near_one(judge, variant, low, high, verdict):
    names = ["attention", "S4D", "scan, cpp"]
    slopes = pd.DataFrame({"machine": "M", "variant": names, "slope": 1.0, "low": 0.5, "high": 2.0})
    slopes.loc[slopes["variant"] == variant, ["low", "high"]] = low, high
    found = judge(slopes)
    assert found.verdict == verdict
    assert f"{variant} 1.00 [{low:.2f}, {high:.2f}] on M" in found.evidence


def test_without_a_case_nothing_is_linear():
    slopes = pd.DataFrame({"machine": "M", "variant": ["attention"], "slope": 1.0, "low": 0.95, "high": 1.05})
    assert ssm.scan_is_linear(slopes).verdict == UNSUPPORTED
