"""Judges of claims A3 and A7 where the original report's own forms are trained by the fair protocol.

They are its dual branch and its hierarchy, as wide as the baseline: what it proposed, with more parameters.
"""

import pandas as pd

from lib.report import prose
from lib.report.claims.ledger import Verdict, decide, decides
from lib.report.claims.mrss_table import TWICE
from lib.report.frames.mrss_compared import TOKENS
from lib.report.prose import extent

TRAINED = "trained"


@decides("A3", on=TRAINED)
def cost_below_twice(fair_original: pd.DataFrame) -> Verdict:
    """A3: at the tasks' sizes, are quartiles of both passes' latency below twice the baseline's, or not somewhere?"""
    low, high = (
        pd.concat([fair_original[f"{one}_{end}"] for one in ("forward", "training")]) for end in ("low", "high")
    )
    return Verdict(
        f"At the sizes of {_tasks(fair_original)} they take {extent(fair_original['forward'])} the baseline's time in "
        f"a forward pass and {extent(fair_original['training'])} in a training step.",
        decide((high < TWICE).all(), (low >= TWICE).any()),
    )


@decides("A7", on=TRAINED)
def fidelity_is_kept(fair_original: pd.DataFrame) -> Verdict:
    """A7: by tests on all tasks, is the loss at most a hundredth above the baseline's, or the accuracy a point below?

    By the loss with an output at every token, else by the accuracy, after equal steps. More on any task
    contradicts it.

    fair_original  of `lib.report.frames.mrss_compared.results`
    """
    by_loss = fair_original["asks"] == TOKENS
    words = fair_original["loss_verdict"].where(by_loss, fair_original["verdict"])
    found = [f"{row.variant} on {row.task} {_difference(row)}" for row in fair_original.itertuples()]
    return Verdict(
        f"After equal steps, {fair_original['seeds'].min():.0f} seeds, 95 % intervals: {'; '.join(found)}.",
        decide((words == "kept").all(), (words == "lost").any()),
    )


def _difference(row) -> str:
    """Of the loss in percent of the baseline's, or of the accuracy in points."""
    if row.asks == TOKENS:
        return f"{prose.around(row.relative, row.relative_low, row.relative_high, '+')} % of the loss"
    return f"{prose.points(row)} points of accuracy" if pd.isna(getattr(row, "solved", None)) else prose.points(row)


def _tasks(rows: pd.DataFrame) -> str:
    return "; ".join(rows["task"].unique())
