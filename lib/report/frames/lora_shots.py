"""Frames of few images per class: means over checkpoints, and differences to LoRA of the lowest rank."""

import pandas as pd

from lib.experiments.lora_shots import LORA
from lib.report import accuracy, frames
from lib.report.frames.lora_pairs import Gap

WITHIN = ["machine", "task", "variant", "shots", "own"]
KEPT = ("kind", "rank", "alpha", "setting", "trainable")


def means(rows: pd.DataFrame) -> pd.DataFrame:
    """Mean accuracy of each variant at each number of images, with its interval, `_low` and `_high`.

    Trainings that started from the same checkpoint count as one; `how` names the statistic.

    rows   of `lib.experiments.lora_shots.outcomes`
    """
    found = []
    for keys, group in rows.groupby(WITHIN, sort=False):
        fitted = accuracy.fitting(group)(group["accuracy"].to_numpy())
        row = dict(zip(WITHIN, keys, strict=True)) | {name: group[name].iloc[0] for name in KEPT}
        row |= {"accuracy": fitted.mean, "accuracy_low": fitted.low, "accuracy_high": fitted.high}
        found.append(row | {"how": fitted.how, "seeds": len(group), "diverged": int(group["diverged"].iloc[0])})
    return pd.DataFrame(found)


def minus_lora(rows: pd.DataFrame, variant: str, own: bool) -> Gap:
    """Accuracy of a rank at the highest number of images minus that of LoRA of the lowest, paired by seed.

    rows   of one task
    own    whether the rank learns at a rate of its own, or at the other's
    """
    shots = rows["shots"].max()
    one, other = (
        frames.where(rows, variant=name, shots=shots, own=at).set_index("seed")
        for name, at in ((variant, own), (LORA, True))
    )
    found = accuracy.fitting(one)((one["accuracy"] - other["accuracy"].loc[one.index]).to_numpy())
    return Gap(found.mean, found.low, found.high, found.how)
