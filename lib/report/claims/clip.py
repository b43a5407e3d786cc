"""Verdicts on the seed report's claims B1 to B9, B12 and B13, on pruning the visual tokens of CLIP (VTP).

Frames of accuracies are of `lib.report.accuracy.compared`, with kinds ("variant", "keep"): a difference is to the
variant that the function names, checkpoint by checkpoint.
"""

from collections.abc import Mapping

import pandas as pd

from lib.report import frames, units
from lib.report.accuracy import POINT
from lib.report.claims.ledger import CONTRADICTED, CORRECTED, REPRODUCED, Verdict, decide, falls
from lib.report.prose import extent, extent_of_points, per_machine, points

TOKENS = 50 * 50  # of an image, as the seed has it
HALFWAY = 1.5  # exponent between a linear and a quadratic cost
COSINE = 0.47  # that a notebook of the seed printed
NEAR = 0.05  # as far as two cosines may be apart and count as one
SAME = 0.999  # cosine from which on features count as equal
ABOUT = 0.02  # that a share of memory may be off and still be about the same
HALF = 0.5  # of the patches: loss is negligible down to here, as the seed concludes
MODERATE = 0.7  # share of patches: the seed prunes moderately from here up


def tokens_per_image(counts: Mapping[int, int]) -> Verdict:
    """B1: does an image of any size make about 2,500 patches?

    counts   pixels a side -> patches of ViT-B/16, without the class token
    """
    found = [f"{count:,} at {side}" for side, count in sorted(counts.items())]
    return Verdict(
        f"Patches of ViT-B/16, by pixels a side: {units.listed(found)}. The class token makes one more.",
        REPRODUCED if any(abs(count / TOKENS - 1) <= 0.1 for count in counts.values()) else CONTRADICTED,
    )


def attention_is_the_bottleneck(parts: pd.DataFrame) -> Verdict:
    """B2: does attention between tokens take more operations than any other part, at every resolution or at some?

    parts    columns side, part ("patches", "projections", "attention", "MLP"), flops
    """
    flops = parts.pivot(index="side", columns="part", values="flops")
    shares = flops.div(flops.sum(axis="columns"), axis="index")
    largest = shares.idxmax(axis="columns") == "attention"
    told = sorted({shares.index.min(), 224, shares.index.max()} & set(shares.index))
    found = [f"{units.share(shares.at[side, 'attention'])} at {side}" for side in told]
    return Verdict(
        f"Of the operations, attention between tokens, the quadratic part, takes {units.listed(found)} pixels a side.",
        REPRODUCED if largest.all() else CORRECTED if largest.any() else CONTRADICTED,
    )


def latency_is_quadratic(slopes: pd.DataFrame) -> Verdict:
    """B3: is the whole interval of the exponent nearer to two than to one, on every machine, or on none?

    slopes   columns machine, slope, low, high: exponent of the encoder's latency in the tokens that pruning leaves
    """
    found = [f"{row.slope:.2f} {units.interval(row.low, row.high)} on {row.machine}" for row in slopes.itertuples()]
    return Verdict(
        f"Latency grows with the number of tokens to the power {units.listed(found)}, with 95 % intervals. "
        "One is linear, two is quadratic.",
        decide((slopes["low"] > HALFWAY).all(), (slopes["high"] < HALFWAY).all()),
    )


def latency_at_half(seed: pd.DataFrame, recorded: pd.DataFrame) -> Verdict:
    """B4: with half the patches, is latency as low as in the seed's own table, on every machine, or on none?

    seed      its table (6.1): columns variant ("baseline", "vtp"), keep, seconds, throughput [images/s]
    recorded  columns machine, keep, latency_ratio with its quartiles _low and _high, flops_ratio
    raises    ValueError where half the patches were recorded nowhere
    """
    base, half = frames.only(seed, variant="baseline"), frames.only(seed, variant="vtp", keep=0.5)
    latency, throughput = half["seconds"] / base["seconds"], half["throughput"] / base["throughput"]
    ours = _some(recorded[recorded["keep"] == 0.5], "keep 0.5")
    return Verdict(
        f"The seed's table: latency {units.change(latency)}, throughput {units.change(throughput)}; its conclusion "
        f"says 40 % and 75 %. Recorded latency: {per_machine(ours, 'latency_ratio')} the untouched encoder's, with "
        f"{extent(ours['flops_ratio'])} its operations.",
        decide((ours["latency_ratio"] <= latency).all(), (ours["latency_ratio_low"] > latency).all()),
    )


def latency_falls_monotonically(seed: pd.DataFrame, recorded: pd.DataFrame) -> Verdict:
    """B13: does latency fall with every smaller share of patches, from the untouched encoder on, or from keep 1 on?

    seed, recorded   as for B4
    """
    path = pd.concat([seed[seed["variant"] == "baseline"], seed[seed["variant"] == "vtp"].sort_values("keep")[::-1]])
    printed, found = path["seconds"], []
    for _, group in recorded.groupby("machine"):
        ratios = pd.concat([pd.Series([1.0]), group.sort_values("keep", ascending=False)["latency_ratio"]])
        found.append((falls(ratios), falls(ratios.iloc[1:])))
    told = " → ".join(units.times(ratio) for ratio in recorded.sort_values("keep", ascending=False)["latency_ratio"])
    return Verdict(
        f"The seed's table: {' → '.join(f'{1e3 * one:.0f}' for one in printed)} ms, the untouched encoder first. "
        f"Recorded, over the untouched encoder: {told}.",
        REPRODUCED
        if falls(printed) and all(whole for whole, _ in found)
        else CORRECTED
        if falls(printed.iloc[1:]) and all(part for _, part in found)
        else CONTRADICTED,
    )


def memory_at_half(seed: pd.DataFrame, recorded: pd.DataFrame, weights: int) -> Verdict:
    """B12: with half the patches, is peak memory, weights included, as low as about 10 % less, on every machine?

    seed, recorded   as for B4, with memory_bytes and memory_ratio, weights left out in what is recorded
    weights          bytes of the encoder's
    """
    base, half = frames.only(seed, variant="baseline"), frames.only(seed, variant="vtp", keep=0.5)
    theirs = half["memory_bytes"] / base["memory_bytes"]
    ours = _some(recorded[recorded["keep"] == 0.5], "keep 0.5")
    both = (ours["memory_bytes"] + weights) / (ours["memory_bytes"] / ours["memory_ratio"] + weights)
    return Verdict(
        f"The seed's table: {units.change(theirs)}. Recorded: {units.listed([units.change(one) for one in both])} with "
        f"the weights' {units.binary(weights)}; {extent(ours['memory_ratio'])} of what a pass holds beside them.",
        decide(((both - theirs).abs() <= ABOUT).all(), (both >= 1).all()),
    )


def accuracy_is_kept(frame: pd.DataFrame, alike: Mapping[str, bool]) -> Verdict:
    """B5: with half of the patches or more, does the seed's code lose at most a point on each task, or its mended form?

    frame    "seed's code" and, with class token, positions and norms, "L2 norm": differences to "untouched"
    alike    "start" and "end" -> whether all prompts have equal features, read at this token
    raises   ValueError where one of the two was not tried with half of the patches or more
    """
    kept, told = [], []
    for variant in ("seed's code", "L2 norm"):
        rows = frame[frame["variant"] == variant]
        kept.append((_some(rows[rows["keep"] >= HALF], variant)["difference"] >= -POINT).all())
        told.append(_by_task_and_keep(rows[rows["keep"].isin([MODERATE, HALF])]))
    read = [f"{'equal' if same else 'not equal'} at the {token} token" for token, same in alike.items()]
    return Verdict(
        f"Points of accuracy over the untouched model's, with 95 % intervals. The seed's code: {told[0]}. "
        f"With class token, positions and norms: {told[1]}. The prompts' features are {units.listed(read)}."
        + (" Read at the start token, as in the seed's code, every accuracy is chance." if alike["start"] else ""),
        REPRODUCED if kept[0] else CORRECTED if kept[1] else CONTRADICTED,
    )


def norm_tells_importance(frame: pd.DataFrame) -> Verdict:
    """B6: are patches of large L2 norm better than random ones everywhere, or worse from keep 0.7 down on any task?

    frame    "L2 norm" by task and keep, with differences to "random"
    raises   ValueError where it holds no such variant
    """
    rows = _some(frame[frame["variant"] == "L2 norm"], "L2 norm")
    below = rows[rows["keep"] <= MODERATE]
    worse = [task for task, group in below.groupby("task", sort=False) if (group["difference_high"] < 0).all()]
    return Verdict(
        f"Points of accuracy over patches drawn at random, with 95 % intervals: {_by_task_and_keep(rows)}."
        + (f" From keep 0.7 down the norm is worse than random on {units.listed(worse)}." if worse else ""),
        decide((rows["difference_low"] > 0).all(), bool(worse)),
    )


def summary_keeps_context(frame: pd.DataFrame) -> Verdict:
    """B7: does a summary token help everywhere, or nowhere and not on average?

    frame    "L2 norm, summary" by task and keep, with differences to "L2 norm"
    raises   ValueError where it holds no such variant
    """
    rows = _some(frame[frame["variant"] == "L2 norm, summary"], "L2 norm, summary")
    helped = rows["difference_low"] > 0
    return Verdict(
        f"In a mended form, the mean of the dropped patches as one more token changes accuracy by "
        f"{extent_of_points(rows['difference'])} points, over all tasks and shares. By the audit of its code, the "
        "seed's is a plain mean of all patches, without weights that could learn, in the class token's place.",
        decide(helped.all(), not helped.any() and rows["difference"].mean() <= 0),
    )


def works_as_written(cosines: Mapping[str, float], neighbour: float) -> Verdict:
    """B8: with all patches kept, does the seed's code give the untouched model's features, or its mended form alone?

    cosines    "as written" and "mended" -> mean cosine of its features with the untouched model's, at keep 1
    neighbour  with swapped axes, the most that another image of the batch changes an image's features, over their norm
    """
    holds = cosines["as written"] > SAME and neighbour < 1e-3
    return Verdict(
        f"With all patches kept, cosine of its features with the untouched model's: {_cosine(cosines['as written'])} "
        f"as written, {_cosine(cosines['mended'])} with all defects mended. With the axes of section 5.3, another "
        f"image of the batch changes an image's features by up to {units.tiny(neighbour)} of their norm.",
        REPRODUCED if holds else CORRECTED if cosines["mended"] > SAME else CONTRADICTED,
    )


def cosine_of_features(coded: pd.DataFrame, mended: Mapping[str, float]) -> Verdict:
    """B9: is the cosine of the seed's code near 0.47 with half the patches, and one with all, or as low with all?

    coded    of the seed's code: columns task, keep, cosine, a row per checkpoint
    mended   "both normed, all", "both normed, half" -> mean cosine with all defects mended, on one checkpoint
    """
    means = coded.groupby(["task", "keep"], sort=False)["cosine"].mean().unstack()
    whole, half = means[1.0], means[0.5]
    found = [f"{task} {_cosine(half[task])} with half, {_cosine(whole[task])} with all" for task in means.index]
    same = bool(((whole - half).abs() <= NEAR).all())
    return Verdict(
        f"The seed's code, on models of ours: {'; '.join(found)} of the patches."
        + (" The number does not tell of pruning: it is about as low without." if same else "")
        + f" With all defects mended: {_cosine(mended['both normed, half'])} with half, "
        f"{_cosine(mended['both normed, all'])} with all.",
        decide((abs(half - COSINE) <= NEAR).any() and (whole > SAME).all(), same),
    )


def _some(rows: pd.DataFrame, wanted: str) -> pd.DataFrame:
    """The rows themselves: of none, no verdict comes."""
    if rows.empty:
        raise ValueError(f"{wanted!r}: no such case, at least 1 is needed")
    return rows


def _by_task_and_keep(rows: pd.DataFrame) -> str:
    """`scenes +2.0 ± 0.4 (keep 0.7), −1.0 ± 0.3 (keep 0.5); cifar10 ...`."""
    found = []
    for task, group in rows.groupby("task", sort=False):
        ordered = group.sort_values("keep", ascending=False).itertuples()
        found.append(f"{task} " + ", ".join(f"{points(row)} (keep {row.keep:g})" for row in ordered))
    return "; ".join(found)


def _cosine(value: float) -> str:
    return f"{round(value, 3) + 0.0:.3f}".replace("-", "−")
