"""Judges of the original report's claims A8 to A10 and A15, on Mamba and its scan."""

from collections.abc import Mapping

import pandas as pd

from lib.experiments import ssm_scaling
from lib.report import units
from lib.report.claims.ledger import CONTRADICTED, CORRECTED, REPRODUCED, Verdict, decide, decides
from lib.report.prose import extent

EXACT = 1e-4  # of the largest output: rounding in single precision stays below it, a term that is lost does not
CHEAPER = 0.9  # of the time: a saving below a tenth is within what timings vary
SQUARE = 1.5  # exponent between linear and quadratic
LINEAR = 0.1  # how far an exponent may be from one: what fixed costs at short lengths leave of it


@decides("A8", on="mamba")
def trains_as_a_convolution(superposition: Mapping[str, float]) -> Verdict:
    """A8: does the selective scan obey superposition, as every convolution does?

    superposition   "fixed" and "selective" -> largest y(a + b) - y(a) - y(b), over the largest y(a + b)
    """
    control, selective = superposition["fixed"] < EXACT, superposition["selective"] < EXACT
    return Verdict(
        "A convolution is linear in its input. With fixed parameters the scan is, to "
        f"{units.tiny(superposition['fixed'])} of its largest output; the selective scan departs by "
        f"{units.tiny(superposition['selective'])}: it has no kernel to transform.",
        decide(control and selective, control and not selective),
    )


@decides("A9", on="mamba")
def selection_saves_compute(gate: pd.DataFrame) -> Verdict:
    """A9: by quartiles, is a scan whose gate lets nothing in cheaper than one whose gate is open?

    gate   cases "step open", the baseline, and "step closed", with ratios
    """
    closed = gate[gate["variant"] == ssm_scaling.CLOSED]
    holds = (closed["latency_ratio_high"] <= CHEAPER).all() or (closed["flops_ratio"] < 1).all()
    fails = (closed["latency_ratio_low"] > CHEAPER).all() and (closed["flops_ratio"] == 1).all()
    found = [
        f"{units.times(row.latency_ratio)} {units.interval(row.latency_ratio_low, row.latency_ratio_high)} "
        f"the time on {row.machine}"
        for row in closed.itertuples()
    ]
    return Verdict(
        f"With step sizes near zero nothing enters the state. It still takes {extent(closed['flops_ratio'])} the "
        f"operations and {units.listed(found)}: every token is computed, whatever the gate says.",
        decide(holds, fails),
    )


@decides("A10", on="mamba")
def cost_is_quadratic_in_width(mixing_operations: Mapping[str, float]) -> Verdict:
    """A10: do a scan's operations grow with the square of the width?

    mixing_operations   exponent of the operations counted: of the "scan" over D and over N, of the "block" over D
    """
    scan, block = mixing_operations["scan over D"], mixing_operations["block over D"]
    return Verdict(
        f"Operations of the scan grow with D to the power {scan:.2f} and with N to the power "
        f"{mixing_operations['scan over N']:.2f}, those of the whole block with D to the power {block:.2f}: "
        "the square belongs to the projections around the scan.",
        REPRODUCED if scan > SQUARE else CORRECTED if block > SQUARE else CONTRADICTED,
    )


@decides("A15", on="mamba")
def scan_is_linear(mixing_growth: pd.DataFrame) -> Verdict:
    """A15: does the whole interval of the scan's exponent in length lie within a tenth of one, or outside of it?

    mixing_growth   columns machine, variant ("scan, ..." and others), slope, low, high
    """
    rows = mixing_growth[mixing_growth["variant"].str.startswith("scan")]
    return _linear(pd.concat([rows, mixing_growth[mixing_growth["variant"] == "attention"]]), rows)


@decides("A15", on="kernels")
def kernels_are_linear(mixing_growth: pd.DataFrame) -> Verdict:
    """A15: does the whole interval of S4D's exponent in length lie within a tenth of one, or outside of it?

    mixing_growth   columns machine, variant ("S4D" and others), slope, low, high
    """
    rows = mixing_growth[mixing_growth["variant"] == "S4D"]
    return _linear(rows, rows)


def _linear(shown: pd.DataFrame, judged: pd.DataFrame) -> Verdict:
    inside = (judged["low"] >= 1 - LINEAR) & (judged["high"] <= 1 + LINEAR)
    outside = (judged["high"] < 1 - LINEAR) | (judged["low"] > 1 + LINEAR)
    found = [
        f"{row.variant} {row.slope:.2f} {units.interval(row.low, row.high)} on {row.machine}"
        for row in shown.itertuples()
    ]
    return Verdict(
        f"Exponent of latency in length, with 95 % intervals: {'; '.join(found)}. One is linear, two is quadratic.",
        decide(len(judged) > 0 and inside.all(), outside.any()),
    )
