"""Judges of claims A1 to A6, A13 and A16, by the original report's own table and by its operator proxy."""

from collections.abc import Mapping, Sequence

import pandas as pd

from lib.experiments.mrss_proxy import BASELINE, FACTORS
from lib.report import units
from lib.report.claims.ledger import CONTRADICTED, CORRECTED, REPRODUCED, Verdict, decide, decides, falls
from lib.report.prose import extent

PROXY = "proxy"
TWICE = 2  # times the baseline: what claim A3 says that no cost reaches


@decides("A1", on=PROXY)
def latency_falls(original_mrss: pd.DataFrame, proxy: pd.DataFrame) -> Verdict:
    """A1: against the single-resolution baseline, does any factor's interquartile range lie below 1, or all above?"""
    last, first = _at(original_mrss, max(original_mrss["factor"].dropna())), _at(original_mrss, 1)
    dual = proxy.dropna(subset=["factor", "latency_ratio"])
    holds, fails = (dual["latency_ratio_high"] < 1).any(), (dual["latency_ratio_low"] >= 1).all()
    return Verdict(
        f"The original report's own table: r = {last.factor} is {units.change(last.seconds / first.seconds)} against "
        f"MRSS r = 1, but {units.change(last.latency_ratio)} against the baseline. "
        f"Recorded: {extent(dual['latency_ratio'])} the baseline.",
        decide(holds, fails),
    )


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
def cost_below_twice(original_mrss: pd.DataFrame, proxy: pd.DataFrame) -> Verdict:
    """A3: is every latency and every operation count of the original report's table below twice its baseline?"""
    worst = max(original_mrss["latency_ratio"].max(), original_mrss["flops_ratio"].max())
    return Verdict(
        f"The original report's table: latency {extent(original_mrss['latency_ratio'].iloc[1:])}, "
        f"operations {extent(original_mrss['flops_ratio'].iloc[1:])}. "
        f"Recorded latency: {extent(proxy.dropna(subset='factor')['latency_ratio'])}.",
        REPRODUCED if worst < TWICE else CONTRADICTED,
    )


@decides("A4", on=PROXY)
def memory_falls(original_mrss: pd.DataFrame, proxy: pd.DataFrame) -> Verdict:
    """A4: does peak memory fall with every larger factor, or only from r = 2 on, in the report's table and in ours?"""
    verdicts = []
    for _, group in pd.concat([original_mrss, proxy]).dropna(subset=["factor", "memory_ratio"]).groupby("machine"):
        ratios = group.sort_values("factor")["memory_ratio"]
        verdicts.append(REPRODUCED if falls(ratios) else CORRECTED if falls(ratios.iloc[1:]) else CONTRADICTED)
    path = " → ".join(units.times(ratio) for ratio in original_mrss.dropna(subset="factor")["memory_ratio"])
    return Verdict(
        f"The original report's table: {path} the baseline at r = 1, 2, 4. It rises first, since r = 1 needs no "
        "upsampled copy, and it stays above the baseline. "
        f"Recorded: {extent(proxy.dropna(subset='factor')['memory_ratio'])}.",
        max(verdicts, key=[REPRODUCED, CORRECTED, CONTRADICTED].index),
    )


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


@decides("A16", on="table")
def operations_fall(original_mrss: pd.DataFrame) -> Verdict:
    """A16: in the original report's table, does any factor take fewer operations than the baseline?"""
    dual = original_mrss.dropna(subset="factor").sort_values("factor")
    against = ", ".join(units.change(ratio) for ratio in dual["flops_ratio"])
    return Verdict(
        f"The original report's table, against the baseline: {against} at r = {', '.join(map(str, dual['factor']))}. "
        "They fall from r = 1 on alone.",
        REPRODUCED if (dual["flops_ratio"] < 1).any() else CONTRADICTED,
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


@decides("A13", on="table")
def throughput_rises(original_mrss: pd.DataFrame) -> Verdict:
    """A13: in the original report's table, does throughput rise with every factor, ever above the baseline's?"""
    dual = original_mrss.dropna(subset="factor").sort_values("factor")
    rates = dual["throughput"]
    base = original_mrss.loc[original_mrss["variant"] == BASELINE, "throughput"].iloc[0]
    rises, ahead = not falls(rates) and bool((rates.diff().dropna() > 0).all()), bool((rates > base).any())
    path = " → ".join(units.times(rate / base) for rate in rates)
    return Verdict(
        f"The original report's table, throughput relative to its baseline's: {path} at "
        f"r = {', '.join(map(str, dual['factor']))}.",
        REPRODUCED if rises and ahead else CORRECTED if rises else CONTRADICTED,
    )


def _at(frame: pd.DataFrame, factor: int):
    return next(frame[frame["factor"] == factor].itertuples())
