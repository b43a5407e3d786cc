"""Verdicts on the seed report's claims, computed from its table and from our records; none is written by hand.

Each function takes frames of `lib.report.frames` or plain values and returns one `Verdict`.
A changed record can change a verdict.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd
from IPython.display import Markdown

from lib.report import units
from lib.report.prose import extent
from lib.report.tables import table

REPRODUCED = "reproduced"
CORRECTED = "holds with a correction"
CONTRADICTED = "contradicted"
UNSUPPORTED = "unsupported"


@dataclass(frozen=True)
class Verdict:
    """One claim of the seed report in our words, what we hold against it, and what comes out."""

    id: str
    claim: str
    evidence: str
    verdict: str


def latency_falls(seed: pd.DataFrame, recorded: pd.DataFrame) -> Verdict:
    """A1: against the single-resolution baseline, does any factor's interquartile range lie below 1, or all above?"""
    last, first = _at(seed, max(seed["factor"].dropna())), _at(seed, 1)
    dual = recorded.dropna(subset=["factor", "latency_ratio"])
    holds, fails = (dual["latency_ratio_high"] < 1).any(), (dual["latency_ratio_low"] >= 1).all()
    return Verdict(
        "A1",
        "MRSS lowers latency by up to 27 % (6.4)",
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
        "A2",
        "Runtime grows sublinearly with length (abstract)",
        f"The seed measured one length. Recorded exponents with 95 % intervals: {'; '.join(found)}. One is linear.",
        decide(holds, fails),
    )


def cost_below_twice(seed: pd.DataFrame, recorded: pd.DataFrame) -> Verdict:
    """A3: is every latency and every operation count of the seed's table below twice its baseline?"""
    worst = max(seed["latency_ratio"].max(), seed["flops_ratio"].max())
    return Verdict(
        "A3",
        "The dual branch costs less than twice the baseline (5.1)",
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
        "A4",
        "Peak memory falls as the factor grows (6.4)",
        f"The seed's table: {path} the baseline at r = 1, 2, 4. It rises first, since r = 1 needs no upsampled copy, "
        f"and it stays above the baseline. Recorded: {extent(recorded.dropna(subset='factor')['memory_ratio'])}.",
        max(verdicts, key=[REPRODUCED, CORRECTED, CONTRADICTED].index),
    )


def operations_match(seed: pd.DataFrame, counted: Sequence[int]) -> Verdict:
    """A5: do operations counted on our replica equal the seed's column to the printed digit?

    counted  operations at the seed's sizes, in the order of its rows
    """
    ours = [units.giga(number) for number in counted]
    printed = [units.giga(number) for number in seed["flops"]]
    return Verdict(
        "A5",
        "Operations per forward pass (6.3)",
        f"Printed {', '.join(printed)}; counted on our replica {', '.join(ours)}.",
        REPRODUCED if ours == printed else CONTRADICTED,
    )


def gate_learns(reached: Mapping[int, bool]) -> Verdict:
    """A6: does a gradient reach the low branch in a faithful replica of the seed's code?

    reached  factor -> whether any parameter of the low branch has a gradient after a backward pass
    """
    blind = [f"r = {factor}" for factor, learned in reached.items() if not learned]
    return Verdict(
        "A6",
        "A learned gate fuses two learned branches (5.1)",
        f"In a replica of the seed's code no gradient reaches the low branch at {units.listed(blind)}: "
        "its upsampling ran outside the graph. In ours it does."
        if blind
        else "A gradient reaches both branches.",
        CONTRADICTED if blind else REPRODUCED,
    )


def fidelity_is_kept(trained_cases: int) -> Verdict:
    """A7: is there any trained model behind the claim?

    trained_cases  recorded cases of this experiment that hold an accuracy
    """
    return Verdict(
        "A7",
        "Representational fidelity is maintained (abstract)",
        f"The seed trained nothing. Recorded cases with an accuracy: {trained_cases}.",
        UNSUPPORTED,
    )


def trains_as_a_convolution(departure: Mapping[str, float]) -> Verdict:
    """A8: does the selective scan obey superposition, as every convolution does?

    departure   "fixed" and "selective" -> largest y(a + b) - y(a) - y(b), over the largest y(a + b)
    """
    control, selective = departure["fixed"] < 1e-4, departure["selective"] < 1e-4
    return Verdict(
        "A8",
        "Mamba trains as a long convolution by FFT (3)",
        f"A convolution is linear in its input. The scan with fixed parameters is, to {units.tiny(departure['fixed'])} "
        f"of its largest output; the selective scan departs by {units.tiny(departure['selective'])}: "
        "it has no kernel to transform.",
        decide(control and selective, control and not selective),
    )


def selection_saves_compute(gate: pd.DataFrame) -> Verdict:
    """A9: is a scan whose gate lets nothing in cheaper than one whose gate is open?

    gate   cases "step open", the baseline, and "step closed", with ratios
    """
    closed = gate[gate["variant"] == "step closed"]
    holds = (closed["latency_ratio_high"] <= 0.9).all() or (closed["flops_ratio"] < 1).all()
    fails = (closed["latency_ratio_low"] > 0.9).all() and (closed["flops_ratio"] == 1).all()
    found = [
        f"{units.times(row.latency_ratio)} {units.interval(row.latency_ratio_low, row.latency_ratio_high)} "
        f"the time on {row.machine}"
        for row in closed.itertuples()
    ]
    return Verdict(
        "A9",
        "Selective scanning skips tokens and saves compute (3)",
        f"With step sizes near zero nothing enters the state. It still takes {extent(closed['flops_ratio'])} the "
        f"operations and {units.listed(found)}: every token is computed, whatever the gate says.",
        decide(holds, fails),
    )


def cost_is_quadratic_in_width(operations: Mapping[str, float]) -> Verdict:
    """A10: do a scan's operations grow with the square of the width?

    operations   exponent of the operations counted: of the "scan" over D and over N, of the "block" over D
    """
    scan, block = operations["scan over D"], operations["block over D"]
    return Verdict(
        "A10",
        "The scan costs O(T D²) (5.1)",
        f"Operations of the scan grow with D to the power {scan:.2f} and with N to the power "
        f"{operations['scan over N']:.2f}, those of the whole block with D to the power {block:.2f}: "
        "the square belongs to the projections around the scan.",
        REPRODUCED if scan > 1.5 else CORRECTED if block > 1.5 else CONTRADICTED,
    )


def verdict_table(verdicts: Sequence[Verdict], caption: str) -> Markdown:
    """Claim, verdict and evidence, one row each."""
    return table(
        {
            "claim": [f"{verdict.id}. {verdict.claim}" for verdict in verdicts],
            "verdict": [f"**{verdict.verdict}**" for verdict in verdicts],
            "evidence": [verdict.evidence for verdict in verdicts],
        },
        caption,
    )


def decide(holds: bool, fails: bool) -> str:
    """What is neither shown nor refuted is unsupported."""
    return REPRODUCED if holds else CONTRADICTED if fails else UNSUPPORTED


def _at(frame: pd.DataFrame, factor: int):
    return next(frame[frame["factor"] == factor].itertuples())


def falls(values: pd.Series) -> bool:
    """Does every value lie below the one before?"""
    return bool((values.diff().dropna() < 0).all())
