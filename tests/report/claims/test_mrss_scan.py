"""Verdicts on the real scan follow the numbers: each is made to come out every way."""

import pandas as pd
import pytest

from lib.report.accuracy import compared, judged
from lib.report.claims import mrss_scan as judges
from lib.report.claims.ledger import CONTRADICTED, CORRECTED, REPRODUCED, UNSUPPORTED
from lib.report.frames import Missing


def dual(low=1.1, middle=1.2, high=1.3, flops=1.7):
    return pd.DataFrame(
        {
            "machine": ["M"],
            "latency_ratio": [middle],
            "latency_ratio_low": [low],
            "latency_ratio_high": [high],
            "flops_ratio": [flops],
        }
    )


@pytest.mark.parametrize(
    ("quartiles", "matched", "verdict"),
    [
        ((0.8, 0.9, 0.95), (1.1, 1.2, 1.3), REPRODUCED),
        ((1.4, 1.5, 1.6), (1.1, 1.2, 1.3), CONTRADICTED),
        ((1.4, 1.5, 1.6), (0.7, 0.8, 0.9), CORRECTED),
        ((0.9, 1.0, 1.1), (0.9, 1.0, 1.1), UNSUPPORTED),
    ],
)
def test_latency_is_judged_by_quartiles(quartiles, matched, verdict):
    found = judges.latency_falls(dual(*quartiles), dual(*matched))
    assert found.verdict == verdict
    assert f"narrower, {matched[1]:.2f}×" in found.evidence


@pytest.mark.parametrize(
    ("low", "high", "verdict"), [(0.8, 0.9, REPRODUCED), (1.0, 1.1, CONTRADICTED), (0.9, 1.1, UNSUPPORTED)]
)
def test_growth_is_judged_by_its_interval(low, high, verdict):
    slopes = pd.DataFrame({"machine": ["M"], "slope": [1.0], "low": [low], "high": [high]})
    found = judges.runtime_is_sublinear(slopes)
    assert found.verdict == verdict
    assert f"1.00 [{low:.2f}, {high:.2f}] on M" in found.evidence


@pytest.mark.parametrize(
    ("quartiles", "flops", "verdict"),
    [
        ((1.8, 1.85, 1.9), 1.8, REPRODUCED),
        ((1.8, 1.9, 2.1), 1.8, UNSUPPORTED),
        ((2.0, 2.1, 2.2), 1.8, CONTRADICTED),
        ((1.4, 1.5, 1.6), 2.1, CONTRADICTED),
    ],
)
def test_twice_is_judged_by_quartiles_and_operations(quartiles, flops, verdict):
    assert judges.cost_below_twice(dual(*quartiles, flops)).verdict == verdict


@pytest.mark.parametrize(
    ("ratios", "verdict"),
    [([1.9, 1.6, 1.5], REPRODUCED), ([1.5, 1.9, 1.6], CORRECTED), ([1.5, 1.6, 1.7], CONTRADICTED)],
)
def test_memory_is_judged_over_factors(ratios, verdict):
    factors = pd.DataFrame({"machine": "M", "factor": pd.array([2, 4, 8], dtype="Int64"), "memory_ratio": ratios})
    baseline = pd.DataFrame({"machine": ["M"], "factor": pd.array([None], dtype="Int64"), "memory_ratio": [1.0]})
    found = judges.memory_falls(pd.concat([baseline, factors]))
    assert found.verdict == verdict
    assert f"r = 4: {ratios[1]:.2f}×" in found.evidence


@pytest.mark.parametrize(("counted", "verdict"), [(100.5, REPRODUCED), (105, CORRECTED), (150, CONTRADICTED)])
def test_a_count_is_judged_by_its_distance(counted, verdict):
    sizes = pd.DataFrame({"predicted": [100.0, 10.0], "counted": [counted, 10.0]})
    assert judges.operations_match(sizes).verdict == verdict


def test_a_weight_without_a_gradient_is_named():
    assert judges.gate_learns([]).verdict == REPRODUCED
    found = judges.gate_learns(["low.0.A_log"])
    assert (found.verdict, "low.0.A_log" in found.evidence) == (CONTRADICTED, True)


@pytest.mark.parametrize(
    ("low", "high", "verdict"), [(-0.009, 0.01, REPRODUCED), (-0.05, -0.02, CONTRADICTED), (-0.02, 0.0, UNSUPPORTED)]
)
def test_accuracy_may_fall_by_a_point(low, high, verdict):
    rows = pd.DataFrame(
        {
            "task": ["t"],
            "seeds": [5],
            "difference": [(low + high) / 2],
            "difference_low": [low],
            "difference_high": [high],
        }
    )
    found = judges.fidelity_is_kept(judged(rows))
    assert found.verdict == verdict
    assert "5 seeds" in found.evidence


@pytest.mark.parametrize(("count", "verdict"), [(5, REPRODUCED), (4, UNSUPPORTED), (0, CONTRADICTED)])
def test_of_seeds_that_solve_a_task_none_may_be_fewer(count, verdict):
    rows = [
        {"machine": "M", "task": "induction heads", "variant": name, "budget": "steps", "seed": seed, "accuracy": share}
        for name, solved in (("baseline", 5), ("dual", count))
        for seed, share in enumerate([1.0] * solved + [0.1] * (5 - solved))
    ]
    found = judged(compared(pd.DataFrame(rows)))
    assert judges.fidelity_is_kept(found[found["variant"] == "dual"]).verdict == verdict


@pytest.mark.parametrize(
    ("ratios", "verdict"), [((1.9, 1.9), REPRODUCED), ((1.2, 1.2), CONTRADICTED), ((1.9, 1.2), UNSUPPORTED)]
)
def test_a_proxy_stands_for_the_scan_where_their_ratios_meet(ratios, verdict):
    def rows(*middle):
        frame = pd.DataFrame({"machine": "M", "factor": [2, 4], "latency_ratio": middle})
        return frame.assign(
            latency_ratio_low=frame["latency_ratio"] - 0.1, latency_ratio_high=frame["latency_ratio"] + 0.1
        )

    proxy, dual = rows(1.9, 1.9), rows(*ratios)
    assert judges.proxy_stands_for_it(proxy, dual).verdict == verdict
    with pytest.raises(Missing, match="no factor"):
        judges.proxy_stands_for_it(proxy, dual.assign(factor=3))
