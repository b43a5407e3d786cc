"""Judges of the original report's claims B10, B11 and B14, on low-rank adaptation."""

from collections.abc import Mapping

import pandas as pd

from lib.report import units
from lib.report.accuracy import POINT
from lib.report.claims.ledger import CONTRADICTED, CORRECTED, REPRODUCED, UNSUPPORTED, Verdict, decide, decides
from lib.report.prose import extent, points

HALF_WAY = 0.5  # down to chance: a start that falls as far has lost the model, which is no small change
LESS = 1.0  # memory relative to full fine-tuning below which there is a saving at all


@decides("B10", on="adapters")
def bottleneck_is_lora(starts: Mapping[str, float]) -> Verdict:
    """B10: before a step is taken, does the original report's pseudocode leave the model as it is, as LoRA does?

    starts   accuracy at the start: "unreduced", the original model; "LoRA", "bottleneck", and of "chance"
    """
    whole, bottleneck = starts["unreduced"], starts["bottleneck"]
    middle = whole + HALF_WAY * (starts["chance"] - whole)
    return Verdict(
        f"Accuracy before the first step: {units.share(whole)} of the original model, {units.share(starts['LoRA'])} "
        f"with LoRA, {units.share(bottleneck)} with the pseudocode, {units.share(starts['chance'])} by chance. It has "
        "no frozen weight beside it, no scale and no start from zero.",
        decide(bottleneck == whole, bottleneck < middle),
    )


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
    return Verdict(f"Points relative to full fine-tuning, on new labels. {'; '.join(found)}.", verdict)


@decides("B14", on="adapters")
def adapters_are_few(weights_of_a_projection: Mapping[str, int], adapting_cost: pd.DataFrame) -> Verdict:
    """B14: are there 2 d r numbers to learn beside a matrix of d², and does a training step need less memory with them?

    weights_of_a_projection   "counted" and "claimed", of one square projection
    adapting_cost             adapters on CLIP: columns trainable, total, memory_ratio to full fine-tuning
    """
    counts, memory = weights_of_a_projection, adapting_cost["memory_ratio"]
    exact = counts["counted"] == counts["claimed"]
    return Verdict(
        f"Beside one square projection {counts['counted']:,} numbers learn, where 2 d r is {counts['claimed']:,}. In "
        f"all of CLIP that is {100 * (adapting_cost['trainable'] / adapting_cost['total']).max():.1f} % of the "
        f"weights, and a training step needs {extent(memory)} the memory.",
        decide(exact and (memory < LESS).all(), not exact or (memory >= LESS).all()),
    )
