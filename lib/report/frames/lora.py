"""Frames of adapters: ratios of costs, means over seeds, variants of one place by rank, what fits into memory."""

from collections.abc import Iterable
from typing import Any

import pandas as pd

from lib.experiments import lora_cost
from lib.experiments.lora_cases import COSTS
from lib.experiments.lora_labels import LADDER
from lib.experiments.lora_training import FULL
from lib.report import frames
from lib.report.accuracy import fitting

SHARED = ("rank", "place", "method", "keep", "share", *COSTS)  # what all trainings of a variant have in common

BASES = {lora_cost.STEP: FULL, lora_cost.DEPLOYED: lora_cost.UNREDUCED, lora_cost.SMALL: lora_cost.UNREDUCED}


def costs(cases: pd.DataFrame, part: str) -> pd.DataFrame:
    """Cases of one part of the costs, with ratios to its baseline: full fine-tuning, or the original model."""
    return frames.ratios(frames.where(cases, part=part), BASES[part], ("machine", "batch"))


def summary(frame: pd.DataFrame, columns: Iterable[str]) -> pd.DataFrame:
    """Mean over seeds of each variant on each task, with its interval, `_low` and `_high`; `how` names the statistic.

    Seeds that started from the same checkpoint count as one, by their mean. The images that judge are the same for all,
    and which answers were right is not recorded: another set of images may move every mean by more.
    """
    rows = []
    for (machine, task, variant), group in frame.groupby(["machine", "task", "variant"], sort=False):
        first = group.iloc[0]
        row = {"machine": machine, "task": task, "variant": variant, "seeds": len(group)}
        row |= {name: first[name] for name in SHARED}
        for column in columns:
            found = fitting(group)(group[column])
            row |= {column: found.mean, f"{column}_low": found.low, f"{column}_high": found.high, "how": found.how}
        rows.append(row)
    return pd.DataFrame(rows)


def ladder(means: pd.DataFrame) -> pd.DataFrame:
    """Full fine-tuning, and adapters on all linear layers by their rank."""
    return means[means["variant"].isin([FULL, *LADDER])]


def against_latency(means: pd.DataFrame, towers: pd.DataFrame) -> pd.DataFrame:
    """Accuracies with fewer tokens beside the latency ratio of the same tower, its adapters merged.

    means    of `summary`
    towers   cases with latency_ratio, by variant; one machine
    """
    return means.assign(latency_ratio=means["variant"].map(towers.set_index("variant")["latency_ratio"]))


def room(full: Any, adapters: Any, memory: int) -> dict[str, float]:
    """On paper, with weights of half precision and adapters of float32: bytes "held", bytes "per image", and "images".

    full, adapters   recorded training steps in float32: total, trainable, memory_bytes, gradient_bytes, batch
    memory           bytes that there are
    """
    held = 2 * full["total"] + 12 * adapters["trainable"]  # of what learns, gradient and two moments
    each = (adapters["memory_bytes"] - adapters["gradient_bytes"]) / adapters["batch"] / 2
    return {"held": held, "per image": each, "images": (memory - held) / each}
