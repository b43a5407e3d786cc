"""Verdicts on low-rank kernels follow the numbers: each is made to come out every way."""

import pandas as pd
import pytest

from lib.report.claims import distill
from lib.report.claims.ledger import CONTRADICTED, CORRECTED, REPRODUCED, UNSUPPORTED
from lib.report.frames import Missing
from lib.report.frames.paired import BELOW, TOGETHER

MODELS = pd.DataFrame({"bank": ["trained"], "order": [8], "tested": [449], "whole": [0.982], "low": [0.105]})


@pytest.mark.parametrize(
    ("low", "counted", "verdict"),
    [
        ((True, True, True), 0.01, REPRODUCED),
        ((False, True, True), 0.01, REPRODUCED),  # what was not trained does not decide
        ((True, True, True), 0.5, CORRECTED),
        ((True, False, True), 0.01, CORRECTED),
        ((True, True, False), 0.01, CORRECTED),
        ((True, False, False), 0.01, CONTRADICTED),
    ],
)
def test_a_rank_is_judged_on_trained_and_on_dense_banks(low, counted, verdict):
    ranks = pd.DataFrame(
        {
            "bank": ["initial", "trained", "dense"],
            "trained": [False, True, False],
            "dense": [False, False, True],
            "needed": 8,
            "full": 64,
            "low": low,
        }
    )
    found = distill.low_rank_stores_little(ranks, {"claimed": 0.01, "counted": counted}, MODELS)
    assert found.verdict == verdict
    assert f"8 of 64 (dense: {'low' if low[2] else 'not low'})" in found.evidence
    assert "98.2 % whole and 10.5 % at rank 8 (trained)" in found.evidence


@pytest.mark.parametrize(
    ("low", "high", "verdict"), [(0.7, 0.9, REPRODUCED), (1.8, 2.8, CONTRADICTED), (0.9, 1.1, UNSUPPORTED)]
)
def test_speed_is_judged_by_quartiles(low, high, verdict):
    ratios = pd.DataFrame({"latency_ratio": [1.0], "latency_ratio_low": [low], "latency_ratio_high": [high]})
    assert distill.low_rank_is_faster(ratios).verdict == verdict


def models(*kinds):
    """Rows of one rank: whether fine-tuned, difference, word."""
    rows = [
        {
            "healed": healed,
            "difference": lost,
            "difference_low": lost - 0.01,
            "difference_high": lost + 0.01,
            "word": word,
        }
        for healed, lost, word in kinds
    ]
    return pd.DataFrame(rows).assign(task="PLAID", bank="S5", variant="truncated SVD", order=8)


KEPT, LOST = (0.0, TOGETHER), (-0.3, BELOW)


@pytest.mark.parametrize(
    ("before", "after", "verdict"),
    [
        ([KEPT, KEPT], [KEPT, KEPT], REPRODUCED),
        ([LOST, KEPT], [KEPT, KEPT], CORRECTED),
        ([LOST, LOST], [KEPT, LOST], UNSUPPORTED),
        ([LOST, LOST], [LOST, LOST], CONTRADICTED),
        ([LOST, LOST], [LOST, (-0.3, TOGETHER)], CONTRADICTED),  # a wide interval is no evidence
    ],
)
def test_models_of_low_rank_are_judged_as_they_are_and_fine_tuned(before, after, verdict):
    kinds = [(False, *one) for one in before] + [(True, *one) for one in after]
    small = models((False, *LOST)).assign(order=2)  # a lower rank does not decide
    found = distill.low_rank_keeps_trained_models(pd.concat([small, models(*kinds)], ignore_index=True))
    assert found.verdict == verdict
    assert "(S5, PLAID, fine-tuned)" in found.evidence
    assert "at rank 8" in found.evidence


@pytest.mark.parametrize(
    ("low", "high", "verdict"), [(0.7, 0.9, REPRODUCED), (1.8, 2.8, CONTRADICTED), (0.9, 1.1, UNSUPPORTED)]
)
def test_models_of_low_rank_are_timed_whole(low, high, verdict):
    rows = pd.DataFrame({"variant": "truncated SVD", "bank": ["S5", "S4D-Real"], "latency_ratio": 1.0})
    rows = rows.assign(latency_ratio_low=low, latency_ratio_high=high)
    other = rows.assign(variant="balanced truncation", latency_ratio_low=0.1, latency_ratio_high=0.2)
    found = distill.low_rank_models_are_faster(pd.concat([rows, other], ignore_index=True))
    assert found.verdict == verdict
    assert "(S5)" in found.evidence


@pytest.mark.parametrize("judge", [distill.low_rank_keeps_trained_models, distill.low_rank_models_are_faster])
def test_without_a_low_rank_nothing_is_decided(judge):
    with pytest.raises(Missing, match="no case of what is needed"):
        judge(pd.DataFrame({"variant": ["balanced truncation"], "order": [2]}))
