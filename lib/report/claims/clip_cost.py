"""Judges of the original report's claims B1 to B4, B12 and B13: what pruned visual tokens cost CLIP's image encoder."""

from collections.abc import Mapping

import pandas as pd

from lib.report import frames, units
from lib.report.claims.ledger import CONTRADICTED, CORRECTED, REPRODUCED, Verdict, decide, decides, falls
from lib.report.prose import extent
from lib.report.views.base import known

TOKENS = 50 * 50  # of an image, as the original report has it
NEARLY = 0.1  # that a number of tokens may be off and still be "about" the same
HALFWAY = 1.5  # exponent between a linear and a quadratic cost
ABOUT = 0.02  # that a share of memory may be off and still be about the same
HALF = 0.5  # of the patches: the share whose gains the original report names


@decides("B1", on="vit")
def tokens_per_image(patches: Mapping[int, int]) -> Verdict:
    """B1: does an image of any size make about 2,500 patches?

    patches   pixels a side -> patches of ViT-B/16, without the class token
    """
    found = [f"{count:,} at {side}" for side, count in sorted(patches.items())]
    return Verdict(
        f"Patches of ViT-B/16, by pixels a side: {units.listed(found)}. The class token makes one more.",
        REPRODUCED if any(abs(count / TOKENS - 1) <= NEARLY for count in patches.values()) else CONTRADICTED,
    )


@decides("B2", on="vit")
def attention_is_the_bottleneck(operations_by_part: pd.DataFrame) -> Verdict:
    """B2: does attention between tokens take more operations than any other part, at every resolution or at some?

    operations_by_part   columns side, part ("patches", "projections", "attention", "MLP"), flops
    """
    flops = operations_by_part.pivot(index="side", columns="part", values="flops")
    shares = flops.div(flops.sum(axis="columns"), axis="index")
    largest = shares.idxmax(axis="columns") == "attention"
    named = sorted({shares.index.min(), 224, shares.index.max()} & set(shares.index))
    found = [f"{units.share(shares.at[side, 'attention'])} at {side}" for side in named]
    return Verdict(
        f"Of the operations, attention between tokens, the quadratic part, takes {units.listed(found)} pixels a side.",
        REPRODUCED if largest.all() else CORRECTED if largest.any() else CONTRADICTED,
    )


@decides("B3", on="vit")
def latency_is_quadratic(pruned_growth: pd.DataFrame) -> Verdict:
    """B3: is the whole interval of the exponent nearer to two than to one, on every machine, or on none?

    pruned_growth   columns machine, slope, low, high: exponent of the encoder's latency in the tokens after pruning
    """
    found = [
        f"{row.slope:.2f} {units.interval(row.low, row.high)} on {row.machine}" for row in pruned_growth.itertuples()
    ]
    return Verdict(
        f"Latency grows with the number of tokens to the power {units.listed(found)}, with 95 % intervals. "
        "One is linear, two is quadratic.",
        decide((pruned_growth["low"] > HALFWAY).all(), (pruned_growth["high"] < HALFWAY).all()),
    )


@decides("B4", on="vit")
def latency_at_half(original_clip: pd.DataFrame, pruned: pd.DataFrame) -> Verdict:
    """B4: with half the patches, are latency's quartiles as low as the original report's table, or on no machine?

    original_clip   its table (6.1): columns variant ("baseline", "vtp"), keep, seconds, throughput [images/s]
    pruned          columns machine, keep, latency_ratio with its quartiles _low and _high, flops_ratio
    raises          Missing where half the patches were recorded nowhere
    """
    base, half = frames.only(original_clip, variant="baseline"), frames.only(original_clip, variant="vtp", keep=HALF)
    latency, throughput = half["seconds"] / base["seconds"], half["throughput"] / base["throughput"]
    ours = _at_half(pruned)
    return Verdict(
        f"The original report's table: latency {units.change(latency)}, throughput {units.change(throughput)}; its "
        "conclusion says 40 % and 75 %. Recorded latency, relative to the unreduced encoder, with quartiles: "
        f"{units.listed([f'{_ratio(row)} on {row.machine}' for row in ours.itertuples()])}, at "
        f"{extent(ours['flops_ratio'])} its operations.",
        decide((ours["latency_ratio_high"] <= latency).all(), (ours["latency_ratio_low"] > latency).all()),
    )


@decides("B12", on="vit")
def memory_at_half(original_clip: pd.DataFrame, pruned: pd.DataFrame, encoder_bytes: int) -> Verdict:
    """B12: with half the patches, is peak memory, weights included, as low as about 10 % less, on every machine?

    original_clip, pruned   as for B4, with memory_bytes and memory_ratio, weights left out in what is recorded
    encoder_bytes           of the encoder's weights
    """
    base, half = frames.only(original_clip, variant="baseline"), frames.only(original_clip, variant="vtp", keep=HALF)
    theirs = half["memory_bytes"] / base["memory_bytes"]
    ours = _at_half(pruned)
    both = (ours["memory_bytes"] + encoder_bytes) / (ours["memory_bytes"] / ours["memory_ratio"] + encoder_bytes)
    return Verdict(
        f"The original report's table: {units.change(theirs)}. Recorded: "
        f"{units.listed([units.change(one) for one in both])} with the weights' "
        f"{units.binary(encoder_bytes)}; {extent(ours['memory_ratio'])} of what a pass holds beside them.",
        decide(((both - theirs).abs() <= ABOUT).all(), (both >= 1).all()),
    )


@decides("B13", on="vit")
def latency_falls_monotonically(original_clip: pd.DataFrame, pruned: pd.DataFrame) -> Verdict:
    """B13: does latency fall with every smaller share of patches, from the unreduced encoder on, or from keep 1 on?

    It falls between two shares where their quartiles do not meet. Where they meet, it neither falls nor does not.
    original_clip, pruned   as for B4
    """
    base, fewer = (frames.where(original_clip, variant=name) for name in ("baseline", "vtp"))
    printed = pd.concat([base, fewer.sort_values("keep", ascending=False)])["seconds"]
    pruned = pruned.sort_values("keep", ascending=False)
    first, later, rising = [], [], []
    for _, group in pruned.groupby("machine"):
        low, high = group["latency_ratio_low"].to_numpy(), group["latency_ratio_high"].to_numpy()
        first.append(high[0] < 1)
        later.append((high[1:] < low[:-1]).all())
        rising.append((low[1:] >= high[:-1]).any())
    path = " → ".join(_ratio(row) for row in pruned.itertuples())
    return Verdict(
        f"The original report's table: {' → '.join(f'{1e3 * one:.0f}' for one in printed)} ms, the unreduced encoder "
        f"first. Recorded, relative to the unreduced encoder, with quartiles: {path}.",
        REPRODUCED
        if falls(printed) and all(first) and all(later)
        else CORRECTED
        if falls(printed.iloc[1:]) and all(later)
        else decide(False, any(rising) or not falls(printed.iloc[1:])),
    )


def _ratio(row) -> str:
    """`0.51× [0.50, 0.52]`: latency relative to the unreduced encoder's, with quartiles."""
    return f"{units.times(row.latency_ratio)} {units.interval(row.latency_ratio_low, row.latency_ratio_high)}"


def _at_half(pruned: pd.DataFrame) -> pd.DataFrame:
    return frames.where(known(pruned, each={"keep": (HALF,)}), keep=HALF)
