"""Verdicts on what the seed report says of itself: R1 and R2."""

from collections.abc import Mapping

import pandas as pd

from lib.report import units
from lib.report.claims.ledger import CONTRADICTED, CORRECTED, NOT_TESTABLE, REPRODUCED, Verdict

CLOSE = 0.01  # what rounding of a printed latency can explain


def can_be_repeated(checklist: pd.DataFrame, files: Mapping[str, bool]) -> Verdict:
    """R1: of the files that the report names, are all at hand, or some, or none? Then nothing can be compared.

    checklist   of `lib.report.reproducibility.checklist`, executed on this book: columns item, holds
    files       name in the report -> whether we have it
    """
    held, there = int(checklist["holds"].sum()), sum(files.values())
    return Verdict(
        f"Of the {len(files)} files of results that the report names, {there} are at hand; by the audit, they were "
        f"deleted from its repository. Of its checklist, executed on this book, {held} of {len(checklist)} items hold.",
        NOT_TESTABLE if there == 0 else REPRODUCED if there == len(files) else CORRECTED,
    )


def tables_agree(mrss: pd.DataFrame, vtp: pd.DataFrame) -> Verdict:
    """R2: is every printed throughput the batch over the printed latency, to a hundredth, or most of them?

    mrss, vtp   the seed's tables: variant, seconds, throughput; both were measured with 8 sequences, or images, at once
    """
    named = vtp.assign(variant=[f"{row.variant}, keep {row.keep:g}" for row in vtp.itertuples()])
    both = pd.concat([mrss, named], ignore_index=True)
    off = 8 / both["seconds"] / both["throughput"] - 1
    if off.isna().any():
        raise ValueError("a row of the seed's tables lacks its latency or its throughput")
    wrong = off.abs() > CLOSE
    named = zip(both["variant"][wrong], off[wrong], strict=True)
    found = [f"{variant} by {100 * by:+.1f} %".replace("-", "−") for variant, by in named]
    return Verdict(
        f"Batch over latency is the printed throughput, to one percent, in {(~wrong).sum()} of {len(both)} rows"
        + (f"; off are {units.listed(found)}." if found else "."),
        REPRODUCED if not wrong.any() else CORRECTED if wrong.mean() < 1 / 2 else CONTRADICTED,
    )
