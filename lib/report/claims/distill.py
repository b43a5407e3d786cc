"""Verdicts on the seed report's claims A11 and A12, on kernels of low rank."""

from collections.abc import Mapping

import pandas as pd

from lib.report import units
from lib.report.claims.ledger import CONTRADICTED, CORRECTED, REPRODUCED, Verdict, decide
from lib.report.prose import extent

SMALL = 0.25  # of the full rank is a low one


def low_rank_stores_little(ranks: pd.DataFrame, stored: Mapping[str, float]) -> Verdict:
    """A11: does a low rank reach an error of 1 % on every trained bank, or on none, and is the storage r / L of it?

    ranks    columns bank, trained, needed, full: the least rank whose error is below 1 %, and the bank's
    stored   "claimed" and "counted": numbers stored in the seed's layout at one rank, over those of the bank
    """
    low = (ranks["needed"] / ranks["full"] <= SMALL)[ranks["trained"]]
    holds, fails = low.all(), not low.any()
    exact = abs(stored["counted"] / stored["claimed"] - 1) < 0.05
    found = [f"{row.needed} of {row.full} ({row.bank})" for row in ranks.itertuples()]
    return Verdict(
        f"Rank needed for 1 %: {units.listed(found)}. Storage in the seed's layout at one rank: "
        f"{100 * stored['claimed']:.1f} % claimed, {100 * stored['counted']:.1f} % counted.",
        CONTRADICTED if fails else REPRODUCED if holds and exact else CORRECTED,
    )


def low_rank_is_faster(ratios: pd.DataFrame) -> Verdict:
    """A12: at any length and rank, do the quartiles of a low-rank convolution lie below a full one's, or all above?

    ratios   low-rank cases, with latency ratios to the convolution by a cached spectrum
    """
    holds, fails = (ratios["latency_ratio_high"] < 1).any(), (ratios["latency_ratio_low"] >= 1).all()
    return Verdict(
        f"Convolving with the basis kernels takes {extent(ratios['latency_ratio'])} the time of one convolution with "
        "the whole kernel's spectrum, over all lengths and ranks.",
        decide(holds, fails),
    )
