"""Judges of the original report's claims A11 and A12, on kernels of low rank."""

from collections.abc import Mapping

import pandas as pd

from lib.report import frames, prose, units
from lib.report.accuracy import POINT
from lib.report.claims.ledger import CONTRADICTED, CORRECTED, REPRODUCED, UNSUPPORTED, Verdict, decide, decides
from lib.report.frames.paired import BELOW
from lib.report.prose import extent
from lib.report.views import distill_compared
from lib.report.views.base import known
from lib.report.views.distill import LOW_RANK

NEAR = 0.05  # as a share: how far the storage counted may be from r / L, which leaves out the factors of the channels


@decides("A11", on="kernels")
def low_rank_stores_little(
    ranks: pd.DataFrame, low_rank_storage: Mapping[str, float], low_rank_models: pd.DataFrame
) -> Verdict:
    """A11: does a low rank err by less than 1 % on every trained or dense bank, or on none, and is its storage r / L?

    ranks              columns bank, trained, dense, needed, full, low: the least rank whose error is below 1 %, the
                       bank's, and whether that is a low one
    low_rank_storage   "claimed" and "counted": numbers stored in the original report's layout at one rank, relative to
                       those of the bank
    low_rank_models    columns bank, order (a rank), tested, whole, low: accuracies of trained models; they are shown,
                       and decide nothing
    """
    low = ranks.loc[ranks["trained"] | ranks["dense"], "low"]
    exact = abs(low_rank_storage["counted"] / low_rank_storage["claimed"] - 1) < NEAR
    found = [
        f"{row.needed} of {row.full} ({row.bank}: {'low' if row.low else 'not low'})" for row in ranks.itertuples()
    ]
    kept = [
        f"{100 * row.whole:.1f} % whole and {100 * row.low:.1f} % at rank {row.order} ({row.bank})"
        for row in low_rank_models.itertuples()
    ]
    return Verdict(
        f"Rank needed for 1 %: {units.listed(found)}. Low is at most {units.share(LOW_RANK)} of the full rank. "
        "Banks trained here, and dense ones in the original report's layout, decide. Accuracy of the trained models, "
        "without fine-tuning: "
        f"{units.listed(kept)}. Storage in that layout at one rank: {100 * low_rank_storage['claimed']:.1f} % claimed, "
        f"{100 * low_rank_storage['counted']:.1f} % counted.",
        CONTRADICTED if not low.any() else REPRODUCED if low.all() and exact else CORRECTED,
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


@decides("A11", on="kernel_models")
def low_rank_keeps_trained_models(bank_quality: pd.DataFrame) -> Verdict:
    """A11: does a trained model keep its accuracy at a low rank as it is, only fine-tuned, or not even then?

    bank_quality   columns task, bank, variant, order, healed, states, accuracy, difference with _low and _high, word:
                   at the largest rank that is recorded, a model is kept where it is not below its original after
                   Holm's correction, and at most a point on average
    """
    rows = known(frames.where(bank_quality, variant=distill_compared.LOW_RANK))
    rows = rows[rows["order"] == rows["order"].max()]
    kept = (rows["word"] != BELOW) & (rows["difference"] >= -POINT)
    before, after = (kept[rows["healed"].astype(bool) == healed] for healed in (False, True))
    said = [
        f"{prose.points(row)} ({row.bank}, {row.task}, {'fine-tuned' if row.healed else 'as it is'})"
        for row in rows.itertuples()
    ]
    word = (
        REPRODUCED if before.all() else CORRECTED if after.all() else CONTRADICTED if not after.any() else UNSUPPORTED
    )
    return Verdict(
        f"Accuracy of trained models at rank {rows['order'].iloc[0]:g}, minus the original's, in points: "
        f"{units.listed(said)}. Kept is what is not below after correction, and at most a point on average: "
        f"{prose.out_of(int(before.sum()), len(before))} as they are, {prose.out_of(int(after.sum()), len(after))} "
        "fine-tuned.",
        word,
    )


@decides("A12", on="kernel_models")
def low_rank_models_are_faster(bank_times: pd.DataFrame) -> Verdict:
    """A12: does a trained model of low rank take less time than its original, of any bank and rank, or of none?

    bank_times   columns variant, bank, latency_ratio with _low and _high: forward passes of the same models
    """
    low = known(frames.where(bank_times, variant=distill_compared.LOW_RANK))
    by_bank = [f"{extent(rows['latency_ratio'])} ({bank})" for bank, rows in low.groupby("bank", sort=False)]
    return Verdict(
        f"A forward pass of the whole model at a low rank takes {units.listed(by_bank)} of the original's time.",
        decide((low["latency_ratio_high"] < 1).any(), (low["latency_ratio_low"] >= 1).all()),
    )
