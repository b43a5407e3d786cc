"""Judges of claims A1 to A7 where the original report's proxy is replaced by the real selective scan, and of A14.

The branches are Mamba blocks of the baseline's width, as in the original report; "as wide" names them in tables. Where
it says so, they are narrower, and have the same number of parameters as the baseline. What the report did not propose,
blocks at a low rate alone, is judged in the chapter, not here.
"""

from collections.abc import Sequence

import pandas as pd

from lib.report import units
from lib.report.accuracy import POINT
from lib.report.claims.ledger import CONTRADICTED, CORRECTED, REPRODUCED, Verdict, decide, decides
from lib.report.claims.mrss_table import TWICE, factors, falling
from lib.report.frames import Missing
from lib.report.prose import extent, points

SCAN = "scan"
EXACT = 0.01  # how far a count may be from the prediction and be the same: element-wise work is in neither
NEAR = 0.1  # how far it may be for the form of the count to hold, with terms left out


@decides("A1", on=SCAN)
def latency_falls(dual_as_wide: pd.DataFrame, dual_matched: pd.DataFrame) -> Verdict:
    """A1: at any length, width or pass, do the dual branch's quartiles lie below the baseline, or all above?

    dual_matched  the dual branch with the same number of parameters as the baseline: where it alone is faster, that is
                  a correction
    """
    holds = (dual_as_wide["latency_ratio_high"] < 1).any()
    fails = (dual_as_wide["latency_ratio_low"] >= 1).all()
    corrected = not holds and (dual_matched["latency_ratio_high"] < 1).any()
    return Verdict(
        f"As wide as the baseline, the dual branch takes {extent(dual_as_wide['latency_ratio'])} its time, across all "
        "lengths, widths and passes; with the same number of parameters, and so narrower, "
        f"{extent(dual_matched['latency_ratio'])}.",
        CORRECTED if corrected else decide(holds, fails),
    )


@decides("A2", on=SCAN)
def runtime_is_sublinear(dual_growth: pd.DataFrame) -> Verdict:
    """A2: does the whole interval of the dual branch's log-log slope lie below 1, or above it?"""
    holds, fails = (dual_growth["high"] < 1).all(), (dual_growth["low"] >= 1).all()
    found = [
        f"{row.slope:.2f} {units.interval(row.low, row.high)} on {row.machine}" for row in dual_growth.itertuples()
    ]
    return Verdict(
        f"Its forward pass grows with length to the power {units.listed(found)}. One is linear.",
        decide(holds, fails),
    )


@decides("A3", on=SCAN)
def cost_below_twice(dual_as_wide: pd.DataFrame) -> Verdict:
    """A3: are operations, and quartiles of latency, below twice the baseline's everywhere, or not somewhere?"""
    latency, flops = dual_as_wide, dual_as_wide["flops_ratio"].dropna()
    holds = (latency["latency_ratio_high"] < TWICE).all() and (flops < TWICE).all()
    fails = (latency["latency_ratio_low"] >= TWICE).any() or (flops >= TWICE).any()
    return Verdict(
        f"Latency is {extent(latency['latency_ratio'])} the baseline's, operations are {extent(flops)}.",
        decide(holds, fails),
    )


@decides("A4", on=SCAN)
def memory_falls(dual_by_factor: pd.DataFrame) -> Verdict:
    """A4: does peak memory, which has no spread, fall with every larger factor, or only from the second on?"""
    rows = dual_by_factor.dropna(subset=["factor"]).sort_values("factor")
    return Verdict(
        f"Forward pass, relative to the baseline's: {factors(rows)}.",
        falling(rows["memory_ratio"]),
    )


@decides("A5", on=SCAN)
def operations_match(dual_operations: pd.DataFrame) -> Verdict:
    """A5: does the original report's form of count, (1 + 1/r) of the baseline and the gate, hold for the real blocks?

    dual_operations  a row per size: operations predicted and counted
    """
    off = (dual_operations["counted"] / dual_operations["predicted"] - 1).abs().max()
    return Verdict(
        f"Predicted from the baseline's count, counted on the real blocks: at most {units.share(off)} apart.",
        REPRODUCED if off < EXACT else CORRECTED if off < NEAR else CONTRADICTED,
    )


@decides("A6", on=SCAN)
def gate_learns(weights_without_gradient: Sequence[str]) -> Verdict:
    """A6: does a gradient reach every weight of both branches and of the gate?

    weights_without_gradient  their names
    """
    return Verdict(
        f"No gradient reaches {', '.join(weights_without_gradient)}."
        if weights_without_gradient
        else "A gradient reaches every weight of both branches.",
        CONTRADICTED if weights_without_gradient else REPRODUCED,
    )


@decides("A7", on=SCAN)
def fidelity_is_kept(dual_accuracy: pd.DataFrame) -> Verdict:
    """A7: is the dual branch's accuracy at most a point below the baseline's on every task, or more on any?

    By the whole interval, or by the seeds that solve a task; a loss on any task is one of several tests, and adjusted.

    dual_accuracy  of `lib.report.accuracy.judged`: the dual branch with the same number of parameters, equal steps
    """
    holds = ((dual_accuracy["difference_low"] >= -POINT) | (dual_accuracy["verdict"] == "kept")).all()
    fails = (dual_accuracy["verdict"] == "lost").any()
    found = [f"{row.task} {points(row)}" for row in dual_accuracy.itertuples()]
    return Verdict(
        "With the same number of parameters, points of accuracy minus the baseline's, "
        f"{dual_accuracy['seeds'].min()} seeds, 95 % intervals: {'; '.join(found)}.",
        decide(holds, fails),
    )


@decides("A14", on=SCAN)
def proxy_stands_for_it(proxy: pd.DataFrame, dual_by_factor: pd.DataFrame) -> Verdict:
    """A14: at every factor of both, do the quartiles of the latency ratio overlap, or at none?

    proxy, dual_by_factor   columns factor, latency_ratio with _low and _high, relative to the baseline of each
    raises                  Missing where they have no factor in common
    """
    rows = proxy.dropna(subset="factor").merge(dual_by_factor.dropna(subset="factor"), on=["machine", "factor"])
    if rows.empty:
        raise Missing("no factor was recorded for both the proxy and the scan")
    apart = (rows["latency_ratio_low_x"] > rows["latency_ratio_high_y"]) | (
        rows["latency_ratio_low_y"] > rows["latency_ratio_high_x"]
    )
    found = [
        f"r = {row.factor}: {units.times(row.latency_ratio_x)} and {units.times(row.latency_ratio_y)}"
        for row in rows.itertuples()
    ]
    return Verdict(
        f"Latency relative to the baseline's, of the proxy and of the same form on the real scan: {'; '.join(found)}.",
        decide(not apart.any(), apart.all()),
    )
