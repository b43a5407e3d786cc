"""Judges of what the original report says of itself: claims R1 and R2."""

from collections.abc import Mapping

import pandas as pd

from lib.report import units
from lib.report.claims.ledger import CONTRADICTED, CORRECTED, NOT_TESTABLE, REPRODUCED, Verdict, decides

CLOSE = 0.01  # what rounding of a printed latency can explain
BATCH = 8  # sequences, or images, of both of its experiments


@decides("R1", on="repository")
def can_be_repeated(checklist: pd.DataFrame, named_files: Mapping[str, bool]) -> Verdict:
    """R1: of the files that the report names, are all at hand, or some, or none? Then nothing can be compared.

    checklist     of `lib.report.reproducibility.checklist`, executed on this book: columns item, holds
    named_files   name in the report -> whether we have it
    """
    held, there = int(checklist["holds"].sum()), sum(named_files.values())
    return Verdict(
        f"Of the {len(named_files)} files of results that the report names, {there} are at hand; by the audit, they "
        f"were deleted from its repository. Of its checklist, executed on this book, {held} of {len(checklist)} items "
        "hold.",
        NOT_TESTABLE if there == 0 else REPRODUCED if there == len(named_files) else CORRECTED,
    )


@decides("R2", on="table")
def tables_agree(original_mrss: pd.DataFrame, original_clip: pd.DataFrame) -> Verdict:
    """R2: is every printed throughput the batch over the printed latency, to a hundredth, or most of them?

    original_mrss, original_clip   its tables: variant, seconds, throughput; both with a batch of 8
    """
    named = original_clip.assign(variant=[f"{row.variant}, keep {row.keep:g}" for row in original_clip.itertuples()])
    both = pd.concat([original_mrss, named], ignore_index=True)
    off = BATCH / both["seconds"] / both["throughput"] - 1
    if off.isna().any():
        raise ValueError("a row of the original report's tables lacks its latency or its throughput")
    wrong = off.abs() > CLOSE
    named = zip(both["variant"][wrong], off[wrong], strict=True)
    found = [f"{variant} by {100 * by:+.1f} %".replace("-", "−") for variant, by in named]
    return Verdict(
        f"Batch over latency is the printed throughput, to one percent, in {(~wrong).sum()} of {len(both)} rows"
        + (f"; off are {units.listed(found)}." if found else "."),
        REPRODUCED if not wrong.any() else CORRECTED if wrong.mean() < 1 / 2 else CONTRADICTED,
    )
