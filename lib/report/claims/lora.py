"""Verdicts on the seed report's claims B10, B11 and B14, on low-rank adaptation."""

from collections.abc import Mapping

import pandas as pd

from lib.report import units
from lib.report.accuracy import POINT
from lib.report.claims.ledger import CONTRADICTED, CORRECTED, REPRODUCED, UNSUPPORTED, Verdict, decide
from lib.report.prose import extent, points


def bottleneck_is_lora(starts: Mapping[str, float]) -> Verdict:
    """B10: before a step is taken, does the seed's pseudocode leave the model as it is, as LoRA does?

    starts   accuracy at the start: "untouched", "LoRA", "bottleneck", and of "chance"
    """
    untouched, bottleneck = starts["untouched"], starts["bottleneck"]
    # Half the way down to chance is no small change.
    middle = (untouched + starts["chance"]) / 2
    return Verdict(
        f"Accuracy before the first step: {units.share(untouched)} untouched, {units.share(starts['LoRA'])} with LoRA, "
        f"{units.share(bottleneck)} with the pseudocode, {units.share(starts['chance'])} by chance. It has no frozen "
        "weight beside it, no scale and no start from zero.",
        decide(bottleneck == untouched, bottleneck < middle),
    )


def keeps_alignment(differences: pd.DataFrame, shares: Mapping[str, float]) -> Verdict:
    """B11: on every task, is LoRA, or the seed's own form, at most a point below full fine-tuning, or more on any?

    By the whole interval of the difference, both times.

    differences   of `lib.report.accuracy.compared` to full fine-tuning: variants "LoRA" and "bottleneck", by task
    shares        "LoRA" and "bottleneck" -> share of the weights that learn
    """
    rows = {variant: group for variant, group in differences.groupby("variant")}
    kept = {variant: (group["difference_low"] >= -POINT).all() for variant, group in rows.items()}
    lost = {variant: (group["difference_high"] < -POINT).any() for variant, group in rows.items()}
    found = [
        f"{variant}, {100 * shares[variant]:.1f} % of the weights: "
        + units.listed([f"{row.task} {points(row)}" for row in rows[variant].itertuples()])
        for variant in ("LoRA", "bottleneck")
    ]
    verdict = (
        REPRODUCED
        if all(kept.values())
        else CORRECTED
        if kept["LoRA"]
        else CONTRADICTED
        if lost["LoRA"]
        else UNSUPPORTED
    )
    return Verdict(f"Points over full fine-tuning, on new labels. {'; '.join(found)}.", verdict)


def adapters_are_few(counts: Mapping[str, int], cost: pd.DataFrame) -> Verdict:
    """B14: are there 2 d r numbers to learn beside a matrix of d², and does a training step need less memory with them?

    counts   "counted" and "claimed", of one square projection
    cost     adapters on CLIP: columns trainable, total, memory_ratio to full fine-tuning
    """
    exact = counts["counted"] == counts["claimed"]
    return Verdict(
        f"Beside one square projection {counts['counted']:,} numbers learn, where 2 d r is {counts['claimed']:,}. In "
        f"all of CLIP that is {100 * (cost['trainable'] / cost['total']).max():.1f} % of the weights, and a "
        f"training step needs {extent(cost['memory_ratio'])} the memory.",
        decide(exact and (cost["memory_ratio"] < 1).all(), not exact or (cost["memory_ratio"] >= 1).all()),
    )
