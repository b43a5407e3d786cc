"""Judges of claims A1 to A6 on the original report's operator proxy, as it is recorded here."""

from collections.abc import Mapping, Sequence

import pandas as pd

from lib.experiments.mrss_proxy import BASELINE, FACTORS
from lib.report import units
from lib.report.claims.ledger import CONTRADICTED, REPRODUCED, Verdict, decide, decides
from lib.report.claims.mrss_table import TWICE, factors, falling
from lib.report.prose import extent

PROXY = "proxy"


@decides("A1", on=PROXY)
def latency_falls(proxy: pd.DataFrame) -> Verdict:
    """A1: against the single-resolution baseline, does any factor's interquartile range lie below 1, or all above?"""
    dual = proxy.dropna(subset=["factor", "latency_ratio"])
    holds, fails = (dual["latency_ratio_high"] < 1).any(), (dual["latency_ratio_low"] >= 1).all()
    return Verdict(f"It takes {extent(dual['latency_ratio'])} the baseline's time.", decide(holds, fails))


@decides("A2", on=PROXY)
def runtime_is_sublinear(proxy_growth: pd.DataFrame) -> Verdict:
    """A2: does the whole interval of MRSS's log-log slope lie below 1, or above it?"""
    dual = proxy_growth[proxy_growth["variant"] != BASELINE]
    holds, fails = (dual["high"] < 1).all(), (dual["low"] >= 1).all()
    found = [
        f"{row.variant} on {row.machine} {row.slope:.2f} {units.interval(row.low, row.high)}"
        for row in proxy_growth.itertuples()
    ]
    return Verdict(
        f"The original report measured one length. Recorded exponents with 95 % intervals: {'; '.join(found)}. "
        "One is linear.",
        decide(holds, fails),
    )


@decides("A3", on=PROXY)
def cost_below_twice(proxy: pd.DataFrame) -> Verdict:
    """A3: are operations, and quartiles of latency, below twice the baseline's at every factor, or not at one?"""
    dual = proxy.dropna(subset="factor")
    holds = (dual["latency_ratio_high"] < TWICE).all() and (dual["flops_ratio"] < TWICE).all()
    fails = (dual["latency_ratio_low"] >= TWICE).any() or (dual["flops_ratio"] >= TWICE).any()
    return Verdict(
        f"Latency is {extent(dual['latency_ratio'])} the baseline's, operations are {extent(dual['flops_ratio'])}.",
        decide(holds, fails),
    )


@decides("A4", on=PROXY)
def memory_falls(proxy: pd.DataFrame) -> Verdict:
    """A4: does peak memory, which has no spread, fall with every larger factor, or only from the second on?"""
    rows = proxy.dropna(subset=["factor", "memory_ratio"]).sort_values("factor")
    return Verdict(f"Relative to the baseline's: {factors(rows)}.", falling(rows["memory_ratio"]))


@decides("A5", on=PROXY)
def operations_match(original_mrss: pd.DataFrame, proxy: pd.DataFrame, proxy_operations: Sequence[int]) -> Verdict:
    """A5: do operations counted on our replica, and those of a closed form, equal the report's column as printed?

    proxy_operations  of the closed form at the original report's sizes, in the order of its rows
    """
    counted = proxy.loc[(proxy["variant"] == BASELINE) | proxy["factor"].isin(FACTORS), "flops"]
    columns = (original_mrss["flops"], counted, proxy_operations)
    printed, ours, closed = ([units.giga(number) for number in column] for column in columns)
    return Verdict(
        f"Printed {', '.join(printed)}; counted while our replica ran {', '.join(ours)}; in closed form "
        f"{', '.join(closed)}.",
        REPRODUCED if ours == closed == printed else CONTRADICTED,
    )


@decides("A6", on=PROXY)
def gate_learns(proxy_gradients: Mapping[int, bool], mended_gradients: Mapping[int, bool]) -> Verdict:
    """A6: does a gradient reach the low-rate branch in a faithful replica of the original code?

    proxy_gradients    factor -> whether any parameter of the low-rate branch has a gradient after a backward pass
    mended_gradients   the same of our proxy, whose upsampling stays in the graph
    """
    blind = [f"r = {factor}" for factor, learned in proxy_gradients.items() if not learned]
    seen = [f"r = {factor}" for factor, learned in mended_gradients.items() if learned]
    return Verdict(
        f"In a replica of the original code no gradient reaches the low-rate branch at {units.listed(blind)}: "
        f"its upsampling ran outside the graph. Inside the graph, one does at {units.listed(seen) or 'none'}."
        if blind
        else "A gradient reaches both branches.",
        CONTRADICTED if blind else REPRODUCED,
    )
