"""Verdicts on low-rank kernels follow the numbers: each is made to come out every way."""

import pandas as pd
import pytest

from lib.report.claims import distill
from lib.report.claims.ledger import CONTRADICTED, CORRECTED, REPRODUCED, UNSUPPORTED


@pytest.mark.parametrize(
    ("needed", "counted", "verdict"),
    [
        ((4, 8), 0.01, REPRODUCED),
        ((4, 8), 0.5, CORRECTED),
        ((60, 8), 0.01, REPRODUCED),
        ((4, 60), 0.01, CONTRADICTED),
    ],
)
def test_a_rank_is_judged_on_trained_banks(needed, counted, verdict):
    ranks = pd.DataFrame({"bank": ["initial", "trained"], "trained": [False, True], "needed": needed, "full": [64, 64]})
    found = distill.low_rank_stores_little(ranks, {"claimed": 0.01, "counted": counted})
    assert found.verdict == verdict
    assert f"{needed[0]} of 64 (initial)" in found.evidence


@pytest.mark.parametrize(
    ("low", "high", "verdict"), [(0.7, 0.9, REPRODUCED), (1.8, 2.8, CONTRADICTED), (0.9, 1.1, UNSUPPORTED)]
)
def test_speed_is_judged_by_quartiles(low, high, verdict):
    ratios = pd.DataFrame({"latency_ratio": [1.0], "latency_ratio_low": [low], "latency_ratio_high": [high]})
    assert distill.low_rank_is_faster(ratios).verdict == verdict
