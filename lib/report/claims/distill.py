"""Judges of the original report's claims A11 and A12, on kernels of low rank."""

from collections.abc import Mapping

import pandas as pd

from lib.report import units
from lib.report.claims.ledger import CONTRADICTED, CORRECTED, REPRODUCED, Verdict, decide, decides
from lib.report.prose import extent

SMALL = 0.25  # of the full rank is a low one: from there on the factors of a square bank save less than half
NEAR = 0.05  # as a share: how far the storage counted may be from r / L, which leaves out the factors of the channels


@decides("A11", on="kernels")
def low_rank_stores_little(ranks: pd.DataFrame, low_rank_storage: Mapping[str, float]) -> Verdict:
    """A11: does a low rank reach an error of 1 % on every trained bank, or on none, and is the storage r / L of it?

    ranks              columns bank, trained, needed, full: the least rank whose error is below 1 %, and the bank's
    low_rank_storage   "claimed" and "counted": numbers stored in the original report's layout at one rank, relative to
                       those of the bank
    """
    low = (ranks["needed"] / ranks["full"] <= SMALL)[ranks["trained"]]
    holds, fails = low.all(), not low.any()
    exact = abs(low_rank_storage["counted"] / low_rank_storage["claimed"] - 1) < NEAR
    found = [f"{row.needed} of {row.full} ({row.bank})" for row in ranks.itertuples()]
    return Verdict(
        f"Rank needed for 1 %: {units.listed(found)}. Storage in the original report's layout at one rank: "
        f"{100 * low_rank_storage['claimed']:.1f} % claimed, {100 * low_rank_storage['counted']:.1f} % counted.",
        CONTRADICTED if fails else REPRODUCED if holds and exact else CORRECTED,
    )


@decides("A12", on="kernels")
def low_rank_is_faster(low_rank: pd.DataFrame) -> Verdict:
    """A12: at any length and rank, do the quartiles of a low-rank convolution lie below a full one's, or all above?

    low_rank   its cases, with latency ratios to the convolution by a cached spectrum
    """
    holds, fails = (low_rank["latency_ratio_high"] < 1).any(), (low_rank["latency_ratio_low"] >= 1).all()
    return Verdict(
        f"Convolving with the basis kernels takes {extent(low_rank['latency_ratio'])} the time of one convolution with "
        "the whole kernel's spectrum, over all lengths and ranks.",
        decide(holds, fails),
    )
