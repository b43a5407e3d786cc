"""Judges of the original report's claims B10, B11 and B14, on low-rank adaptation."""

from collections.abc import Mapping

import pandas as pd

from lib.report import statistics, units
from lib.report.accuracy import POINT
from lib.report.claims.ledger import CONTRADICTED, CORRECTED, REPRODUCED, UNSUPPORTED, Verdict, decide, decides
from lib.report.frames import Missing
from lib.report.prose import extent, points

HALF_WAY = 0.5  # down to chance: a start that falls as far has lost the model, which is no small change
LESS = 1.0  # memory relative to full fine-tuning below which there is a saving at all


@decides("B10", on="adapters")
def bottleneck_is_lora(starts: Mapping[str, float]) -> Verdict:
    """B10: before a step is taken, does the original report's pseudocode leave the model as it is, as LoRA does?

    It does not where the whole interval of its accuracy lies nearer to chance than to the original model's.

    starts   accuracy at the start: "unreduced", the original model; "LoRA", "bottleneck", and of "chance"; and
             "images", by which they were judged
    """
    whole, bottleneck, images = starts["unreduced"], starts["bottleneck"], int(starts["images"])
    middle = whole + HALF_WAY * (starts["chance"] - whole)
    found = statistics.solved(round(bottleneck * images), images)
    return Verdict(
        f"Accuracy before the first step: {units.share(whole)} of the original model, {units.share(starts['LoRA'])} "
        f"with LoRA, {units.share(bottleneck)} with the pseudocode (95 % interval {units.share(found.low)} to "
        f"{units.share(found.high)}, {images} images), {units.share(starts['chance'])} by chance. The pseudocode has "
        "no frozen weight beside it, no scale and no start from zero.",
        decide(bottleneck == whole, found.high < middle),
    )


@decides("B11", on="clip")
def clip_keeps_alignment() -> Verdict:
    """B11: not decided on the model that the claim is about.

    raises   Missing: no adapters of CLIP with its published weights are recorded
    """
    raise Missing("no training of adapters on CLIP with its published weights is recorded, beside full fine-tuning")


@decides("B11", on="small_clips")
def keeps_alignment(alignment: pd.DataFrame, shares_that_learn: Mapping[str, float]) -> Verdict:
    """B11: on every task, is LoRA, or the original report's form, at most a point below full fine-tuning?

    By the whole interval of the difference, as is a loss: more than a point on any task.

    alignment           of `lib.report.accuracy.compared` to full fine-tuning: variants "LoRA" and "bottleneck", by task
    shares_that_learn   "LoRA" and "bottleneck" -> share of the weights that learn
    """
    rows = {variant: group for variant, group in alignment.groupby("variant")}
    kept = {variant: (group["difference_low"] >= -POINT).all() for variant, group in rows.items()}
    lost = {variant: (group["difference_high"] < -POINT).any() for variant, group in rows.items()}
    found = [
        f"{variant}, {100 * shares_that_learn[variant]:.1f} % of the weights: "
        + units.listed([f"{row.task} {points(row)}" for row in rows[variant].itertuples()])
        for variant in ("LoRA", "bottleneck")
    ]
    verdict = (
        REPRODUCED
        if kept["LoRA"] and kept["bottleneck"]
        else CORRECTED
        if kept["LoRA"]
        else CONTRADICTED
        if lost["LoRA"]
        else UNSUPPORTED
    )
    return Verdict(
        f"Points of accuracy relative to full fine-tuning after equal steps, on new labels, with 95 % intervals. "
        f"{'; '.join(found)}.",
        verdict,
    )


@decides("B14", on="adapters")
def adapters_are_few(weights_of_a_projection: Mapping[str, int], adapting_cost: pd.DataFrame) -> Verdict:
    """B14: are there 2 d r numbers to learn beside a matrix of d², and does a training step need less memory with them?

    weights_of_a_projection   "counted" and "claimed", of one square projection
    adapting_cost             adapters on CLIP: columns batch, trainable, total, memory_ratio to full fine-tuning
    """
    counts, memory = weights_of_a_projection, adapting_cost["memory_ratio"]
    exact = counts["counted"] == counts["claimed"]
    return Verdict(
        f"Beside one square projection {counts['counted']:,} numbers learn, where 2 d r is {counts['claimed']:,}. "
        f"Beside all linear layers of CLIP at its size, {(adapting_cost['total'].max()) / 1e6:.0f} million weights, "
        f"{100 * (adapting_cost['trainable'] / adapting_cost['total']).max():.1f} % of the weights learn, and a "
        f"training step of {adapting_cost['batch'].max()} images needs {extent(memory)} the memory of full "
        "fine-tuning's.",
        decide(exact and (memory < LESS).all(), not exact or (memory >= LESS).all()),
    )
