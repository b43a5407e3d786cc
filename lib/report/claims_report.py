"""Verdicts on what the seed report says of itself: R1 and R2."""

import pandas as pd

from lib.report import units
from lib.report.claims import CONTRADICTED, CORRECTED, NOT_TESTABLE, REPRODUCED, Verdict

CLOSE = 0.01  # what rounding of a printed latency can explain


def can_be_repeated(checklist: pd.DataFrame) -> Verdict:
    """R1: the seed's own files are not at hand. Its checklist is executed on this book, of which it says nothing.

    checklist   of `lib.report.reproducibility.checklist`: columns item, holds
    """
    held = int(checklist["holds"].sum())
    return Verdict(
        "R1",
        f"The seed's code and results are not at hand. Of its checklist, executed on this book, {held} of "
        f"{len(checklist)} items hold.",
        NOT_TESTABLE,
    )


def tables_agree(mrss: pd.DataFrame, vtp: pd.DataFrame) -> Verdict:
    """R2: is every printed throughput the batch over the printed latency, to a hundredth, or most of them?

    mrss, vtp   the seed's tables: variant, seconds, throughput; both were measured with 8 sequences, or images, at once
    """
    named = vtp.assign(variant=[f"{row.variant}, keep {row.keep:g}" for row in vtp.itertuples()])
    both = pd.concat([mrss, named], ignore_index=True)
    off = 8 / both["seconds"] / both["throughput"] - 1
    wrong = off.abs() > CLOSE
    found = [f"{variant} by {units.change(1 + by)}" for variant, by in zip(both["variant"], off, strict=True)]
    found = [text for text, bad in zip(found, wrong, strict=True) if bad]
    return Verdict(
        "R2",
        f"Batch over latency is the printed throughput, to one percent, in {(~wrong).sum()} of {len(both)} rows"
        + (f"; off are {units.listed(found)}." if found else "."),
        REPRODUCED if not wrong.any() else CORRECTED if wrong.mean() < 1 / 2 else CONTRADICTED,
    )
