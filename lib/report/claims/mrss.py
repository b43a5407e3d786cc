"""Verdicts on the seed report's claims A1 to A7, A13 and A16, by its own table and by its operator proxy."""

from collections.abc import Mapping, Sequence

import pandas as pd

from lib.report import units
from lib.report.claims.ledger import CONTRADICTED, CORRECTED, REPRODUCED, UNSUPPORTED, Verdict, decide, falls
from lib.report.prose import extent


def latency_falls(seed: pd.DataFrame, recorded: pd.DataFrame) -> Verdict:
    """A1: against the single-resolution baseline, does any factor's interquartile range lie below 1, or all above?"""
    last, first = _at(seed, max(seed["factor"].dropna())), _at(seed, 1)
    dual = recorded.dropna(subset=["factor", "latency_ratio"])
    holds, fails = (dual["latency_ratio_high"] < 1).any(), (dual["latency_ratio_low"] >= 1).all()
    return Verdict(
        f"The seed's own table: r = {last.factor} is {units.change(last.seconds / first.seconds)} against MRSS r = 1, "
        f"but {units.change(last.latency_ratio)} against the baseline. "
        f"Recorded: {extent(dual['latency_ratio'])} the baseline.",
        decide(holds, fails),
    )


def runtime_is_sublinear(slopes: pd.DataFrame) -> Verdict:
    """A2: does the whole interval of MRSS's log-log slope lie below 1, on every machine?"""
    dual = slopes[slopes["variant"] != "baseline"]
    holds, fails = (dual["high"] < 1).all(), (dual["low"] >= 1).all()
    found = [
        f"{row.variant} on {row.machine} {row.slope:.2f} {units.interval(row.low, row.high)}"
        for row in slopes.itertuples()
    ]
    return Verdict(
        f"The seed measured one length. Recorded exponents with 95 % intervals: {'; '.join(found)}. One is linear.",
        decide(holds, fails),
    )


def cost_below_twice(seed: pd.DataFrame, recorded: pd.DataFrame) -> Verdict:
    """A3: is every latency and every operation count of the seed's table below twice its baseline?"""
    worst = max(seed["latency_ratio"].max(), seed["flops_ratio"].max())
    return Verdict(
        f"The seed's table: latency {extent(seed['latency_ratio'].iloc[1:])}, "
        f"operations {extent(seed['flops_ratio'].iloc[1:])}. "
        f"Recorded latency: {extent(recorded.dropna(subset='factor')['latency_ratio'])}.",
        REPRODUCED if worst < 2 else CONTRADICTED,
    )


def memory_falls(seed: pd.DataFrame, recorded: pd.DataFrame) -> Verdict:
    """A4: does peak memory fall with every larger factor, or only from r = 2 on?"""
    verdicts = []
    for _, group in pd.concat([seed, recorded]).dropna(subset=["factor", "memory_ratio"]).groupby("machine"):
        ratios = group.sort_values("factor")["memory_ratio"]
        verdicts.append(REPRODUCED if falls(ratios) else CORRECTED if falls(ratios.iloc[1:]) else CONTRADICTED)
    path = " → ".join(units.times(ratio) for ratio in seed.dropna(subset="factor")["memory_ratio"])
    return Verdict(
        f"The seed's table: {path} the baseline at r = 1, 2, 4. It rises first, since r = 1 needs no upsampled copy, "
        f"and it stays above the baseline. Recorded: {extent(recorded.dropna(subset='factor')['memory_ratio'])}.",
        max(verdicts, key=[REPRODUCED, CORRECTED, CONTRADICTED].index),
    )


def operations_match(seed: pd.DataFrame, counted: Sequence[float], derived: Sequence[int]) -> Verdict:
    """A5: do operations counted on our replica, and those of a closed form, equal the seed's column as printed?

    counted, derived  operations at the seed's sizes, in the order of its rows
    """
    printed, ours, closed = ([units.giga(number) for number in column] for column in (seed["flops"], counted, derived))
    return Verdict(
        f"Printed {', '.join(printed)}; counted while our replica ran {', '.join(ours)}; in closed form "
        f"{', '.join(closed)}.",
        REPRODUCED if ours == closed == printed else CONTRADICTED,
    )


def operations_fall(seed: pd.DataFrame) -> Verdict:
    """A16: in the seed's table, does any factor take fewer operations than the baseline, or fewer than r = 1 alone?"""
    dual = seed.dropna(subset="factor").sort_values("factor")
    against = ", ".join(units.change(ratio) for ratio in dual["flops_ratio"])
    return Verdict(
        f"The seed's table, against the baseline: {against} at r = {', '.join(map(str, dual['factor']))}. They fall "
        f"from r = 1 on alone.",
        REPRODUCED if (dual["flops_ratio"] < 1).any() else CONTRADICTED,
    )


def gate_learns(reached: Mapping[int, bool], mended: Mapping[int, bool]) -> Verdict:
    """A6: does a gradient reach the low branch in a faithful replica of the seed's code?

    reached  factor -> whether any parameter of the low branch has a gradient after a backward pass
    mended   the same of our proxy, whose upsampling stays in the graph
    """
    blind = [f"r = {factor}" for factor, learned in reached.items() if not learned]
    seen = [f"r = {factor}" for factor, learned in mended.items() if learned]
    return Verdict(
        f"In a replica of the seed's code no gradient reaches the low branch at {units.listed(blind)}: "
        f"its upsampling ran outside the graph. Inside the graph, one does at {units.listed(seen) or 'none'}."
        if blind
        else "A gradient reaches both branches.",
        CONTRADICTED if blind else REPRODUCED,
    )


def fidelity_is_kept(trained_cases: int) -> Verdict:
    """A7: is there any trained model behind the claim?

    trained_cases  recorded cases of this experiment that hold an accuracy
    """
    return Verdict(
        f"The seed trained nothing. Recorded cases with an accuracy: {trained_cases}.",
        UNSUPPORTED,
    )


def throughput_rises(seed: pd.DataFrame) -> Verdict:
    """A13: in the seed's table, does throughput rise with every factor, and is it ever above the baseline's?"""
    dual = seed.dropna(subset="factor").sort_values("factor")
    rates, base = dual["throughput"], seed.loc[seed["variant"] == "baseline", "throughput"].iloc[0]
    rises, ahead = not falls(rates) and bool((rates.diff().dropna() > 0).all()), bool((rates > base).any())
    path = " → ".join(units.times(rate / base) for rate in rates)
    return Verdict(
        f"The seed's table, throughput over its baseline's: {path} at r = {', '.join(map(str, dual['factor']))}.",
        REPRODUCED if rises and ahead else CORRECTED if rises else CONTRADICTED,
    )


def _at(frame: pd.DataFrame, factor: int):
    return next(frame[frame["factor"] == factor].itertuples())
