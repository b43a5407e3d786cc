"""Judges of claims on multi-resolution scanning on the original report's own table (part A, section 6.3).

The table prints one number per cell: there is no interval to judge by.
"""

import pandas as pd

from lib.experiments.mrss_proxy import BASELINE
from lib.report import units
from lib.report.claims.ledger import CONTRADICTED, CORRECTED, REPRODUCED, Verdict, decides, falls
from lib.report.frames import Missing
from lib.report.prose import extent

TABLE = "table"
TWICE = 2  # times the baseline: what claim A3 says that no cost reaches


@decides("A1", on=TABLE)
def latency_falls(original_mrss: pd.DataFrame) -> Verdict:
    """A1: in the table, is latency at any factor below the single-resolution baseline's?"""
    dual = original_mrss.dropna(subset="factor").sort_values("factor")
    first, last = dual.iloc[0], dual.iloc[-1]
    return Verdict(
        f"Latency at r = {last['factor']} is {units.change(last['seconds'] / first['seconds'])} against MRSS "
        f"r = {first['factor']}, but {units.change(last['latency_ratio'])} against the baseline.",
        REPRODUCED if (dual["latency_ratio"] < 1).any() else CONTRADICTED,
    )


@decides("A3", on=TABLE)
def cost_below_twice(original_mrss: pd.DataFrame) -> Verdict:
    """A3: in the table, is every latency and every operation count below twice the baseline's?"""
    dual = original_mrss.dropna(subset="factor")
    worst = max(dual["latency_ratio"].max(), dual["flops_ratio"].max())
    return Verdict(
        f"Latency is {extent(dual['latency_ratio'])} the baseline's, operations are {extent(dual['flops_ratio'])}.",
        REPRODUCED if worst < TWICE else CONTRADICTED,
    )


@decides("A4", on=TABLE)
def memory_falls(original_mrss: pd.DataFrame) -> Verdict:
    """A4: in the table, does peak memory fall with every larger factor, or only from the second on?"""
    rows = original_mrss.dropna(subset="factor").sort_values("factor")
    return Verdict(f"Relative to the baseline's: {factors(rows)}.", falling(rows["memory_ratio"]))


@decides("A13", on=TABLE)
def throughput_rises(original_mrss: pd.DataFrame) -> Verdict:
    """A13: in the original report's table, does throughput rise with every factor, ever above the baseline's?"""
    dual = original_mrss.dropna(subset="factor").sort_values("factor")
    rates = dual["throughput"]
    base = original_mrss.loc[original_mrss["variant"] == BASELINE, "throughput"].iloc[0]
    rises, ahead = falls(-rates), bool((rates > base).any())
    path = " → ".join(units.times(rate / base) for rate in rates)
    return Verdict(
        f"Throughput relative to the baseline's: {path} at r = {', '.join(map(str, dual['factor']))}.",
        REPRODUCED if rises and ahead else CORRECTED if rises else CONTRADICTED,
    )


@decides("A16", on=TABLE)
def operations_fall(original_mrss: pd.DataFrame) -> Verdict:
    """A16: in the original report's table, does any factor take fewer operations than the baseline?"""
    dual = original_mrss.dropna(subset="factor").sort_values("factor")
    against = ", ".join(units.change(ratio) for ratio in dual["flops_ratio"])
    return Verdict(
        f"Operations against the baseline's: {against} at r = {', '.join(map(str, dual['factor']))}.",
        REPRODUCED if (dual["flops_ratio"] < 1).any() else CONTRADICTED,
    )


def falling(ratios: pd.Series) -> str:
    """Whether values fall one by one: reproduced; from the second on: with a correction; or contradicted.

    raises   Missing for fewer than two, or an unknown one
    """
    if len(ratios) < 2 or ratios.isna().any():
        raise Missing(
            f"{len(ratios)} ratios to fall, {ratios.isna().sum()} of them unknown: it takes two that are known"
        )
    return REPRODUCED if falls(ratios) else CORRECTED if falls(ratios.iloc[1:]) else CONTRADICTED


def factors(rows: pd.DataFrame) -> str:
    """Memory by factor: `r = 2: 1.87×, r = 4: 1.80×`."""
    return ", ".join(f"r = {row.factor}: {units.times(row.memory_ratio)}" for row in rows.itertuples())
