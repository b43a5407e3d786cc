"""Verdicts on the seed report's claims B10 and B11, on low-rank adaptation."""

from collections.abc import Mapping

import pandas as pd

from lib.report import units
from lib.report.claims import CONTRADICTED, CORRECTED, REPRODUCED, UNSUPPORTED, Verdict, decide
from lib.report.prose import points


def bottleneck_is_lora(starts: Mapping[str, float]) -> Verdict:
    """B10: before a step is taken, does the seed's pseudocode leave the model as it is, as LoRA does?

    starts   accuracy at the start: "untouched", "LoRA", "bottleneck", and of "chance"
    """
    untouched, bottleneck = starts["untouched"], starts["bottleneck"]
    # Half the way down to chance is no small change.
    middle = (untouched + starts["chance"]) / 2
    return Verdict(
        "B10",
        f"Accuracy before the first step: {units.share(untouched)} untouched, {units.share(starts['LoRA'])} with LoRA, "
        f"{units.share(bottleneck)} with the pseudocode, {units.share(starts['chance'])} by chance. It has no frozen "
        "weight beside it, no scale and no start from zero.",
        decide(bottleneck == untouched, bottleneck < middle),
    )


def keeps_alignment(differences: pd.DataFrame, shares: Mapping[str, float]) -> Verdict:
    """B11: on every task, is the interval of LoRA, or of the seed's own form, not wholly below full fine-tuning's?

    differences   of `lib.report.accuracy.compared` to full fine-tuning: variants "LoRA" and "bottleneck", by task
    shares        "LoRA" and "bottleneck" -> share of the weights that learn
    """
    rows = {variant: group for variant, group in differences.groupby("variant")}
    if not {"LoRA", "bottleneck"} <= set(rows):
        return Verdict("B11", "No trainings are recorded.", UNSUPPORTED)
    kept = {variant: (group["difference_high"] >= 0).all() for variant, group in rows.items()}
    lost = {variant: (group["difference_high"] < 0).all() for variant, group in rows.items()}
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
    return Verdict("B11", f"Points over full fine-tuning, on new labels. {'; '.join(found)}.", verdict)
