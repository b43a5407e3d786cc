"""Verdicts on the seed report's claims A1 to A7 where its proxy is replaced by the real selective scan.

The branches are Mamba blocks of the baseline's width, as in the seed; "as wide" names them in tables. Where it says so,
they are narrower, and have as many weights as the baseline. What the seed did not propose, blocks at a low rate alone,
is judged in the chapter, not here.
"""

from collections.abc import Mapping

import pandas as pd

from lib.report import units
from lib.report.accuracy import POINT
from lib.report.claims.ledger import CONTRADICTED, CORRECTED, REPRODUCED, Verdict, decide, falls
from lib.report.prose import extent, points


def latency_falls(dual: pd.DataFrame, matched: pd.DataFrame) -> Verdict:
    """A1: at any length, width or pass, do the dual branch's quartiles lie below the baseline, or all above?

    matched  the dual branch with as many weights as the baseline: where it alone is faster, that is a correction
    """
    holds, fails = (dual["latency_ratio_high"] < 1).any(), (dual["latency_ratio_low"] >= 1).all()
    corrected = not holds and (matched["latency_ratio_high"] < 1).any()
    return Verdict(
        f"As wide as the baseline, the dual branch takes {extent(dual['latency_ratio'])} its time, over all lengths, "
        f"widths and passes; with as many weights, and so narrower, {extent(matched['latency_ratio'])}.",
        CORRECTED if corrected else decide(holds, fails),
    )


def runtime_is_sublinear(slopes: pd.DataFrame) -> Verdict:
    """A2: does the whole interval of the dual branch's log-log slope lie below 1, or above it?"""
    holds, fails = (slopes["high"] < 1).all(), (slopes["low"] >= 1).all()
    found = [f"{row.slope:.2f} {units.interval(row.low, row.high)} on {row.machine}" for row in slopes.itertuples()]
    return Verdict(
        f"Its forward pass grows with length to the power {units.listed(found)}. One is linear.",
        decide(holds, fails),
    )


def cost_below_twice(dual: pd.DataFrame) -> Verdict:
    """A3: are latency and operations of the dual branch below twice the baseline's, everywhere?"""
    worst = max(dual["latency_ratio"].max(), dual["flops_ratio"].max())
    return Verdict(
        f"Latency {extent(dual['latency_ratio'])}, operations {extent(dual['flops_ratio'].dropna())} the baseline's.",
        REPRODUCED if worst < 2 else CONTRADICTED,
    )


def memory_falls(factors: pd.DataFrame) -> Verdict:
    """A4: does peak memory fall with every larger factor, or only from r = 2 on, on every machine?"""
    found = []
    for _, group in factors.dropna(subset=["factor"]).groupby("machine"):
        ratios = group.sort_values("factor")["memory_ratio"]
        found.append(REPRODUCED if falls(ratios) else CORRECTED if falls(ratios.iloc[1:]) else CONTRADICTED)
    named = factors.dropna(subset=["factor"]).sort_values("factor")
    path = ", ".join(f"r = {row.factor}: {units.times(row.memory_ratio)}" for row in named.itertuples())
    return Verdict(
        f"Forward pass, over the baseline's: {path}.",
        max(found, key=[REPRODUCED, CORRECTED, CONTRADICTED].index),
    )


def operations_match(predicted: Mapping[str, float], counted: Mapping[str, float]) -> Verdict:
    """A5: does the seed's form of count, (1 + 1/r) of the baseline and the gate, hold for the real blocks?

    predicted, counted  operations by variant
    """
    off = max(abs(counted[name] / predicted[name] - 1) for name in predicted)
    return Verdict(
        f"Predicted from the baseline's count, counted on the real blocks: at most {units.share(off)} apart.",
        REPRODUCED if off < 0.01 else CORRECTED if off < 0.1 else CONTRADICTED,
    )


def gate_learns(blind: list[str]) -> Verdict:
    """A6: does a gradient reach every weight of both branches and of the gate?

    blind  names of weights that no gradient reaches
    """
    return Verdict(
        f"No gradient reaches {', '.join(blind)}." if blind else "A gradient reaches every weight of both branches.",
        CONTRADICTED if blind else REPRODUCED,
    )


def fidelity_is_kept(compared: pd.DataFrame) -> Verdict:
    """A7: is the dual branch's accuracy at most a point below the baseline's on every task, or more on any?

    compared  of `lib.report.accuracy.compared`, the dual branch with as many weights alone, trained for as many steps
    """
    holds = (compared["difference_low"] >= -POINT).all()
    fails = (compared["difference_high"] < -POINT).any()
    found = [f"{row.task} {points(row)}" for row in compared.itertuples()]
    return Verdict(
        f"With as many weights, points of accuracy over the baseline's, {compared['seeds'].min()} seeds, "
        f"95 % intervals: {'; '.join(found)}.",
        decide(holds, fails),
    )


def proxy_stands_for_it(proxy: pd.DataFrame, dual: pd.DataFrame) -> Verdict:
    """A14: at every factor of both, do the quartiles of the latency ratio overlap, or at none?

    proxy, dual   columns factor, latency_ratio with _low and _high: over the proxy's baseline, over the real scan's
    raises        ValueError where they have no factor in common
    """
    rows = proxy.dropna(subset="factor").merge(dual.dropna(subset="factor"), on=["machine", "factor"])
    if rows.empty:
        raise ValueError("no factor was recorded for both the proxy and the scan")
    apart = (rows["latency_ratio_low_x"] > rows["latency_ratio_high_y"]) | (
        rows["latency_ratio_low_y"] > rows["latency_ratio_high_x"]
    )
    found = [
        f"r = {row.factor}: {units.times(row.latency_ratio_x)} and {units.times(row.latency_ratio_y)}"
        for row in rows.itertuples()
    ]
    return Verdict(
        f"Latency over the baseline's, of the proxy and of the same form on the real scan: {'; '.join(found)}.",
        decide(not apart.any(), apart.all()),
    )
