"""Frames of multi-resolution models: costs and accuracy of the same models, side by side."""

from collections.abc import Mapping

import pandas as pd

from lib.experiments.mrss_training import BASELINE, TRAINING
from lib.report.frames import where

KEYS = ["machine", "task"]


def of_one(name: str, last: pd.DataFrame, costs: Mapping[str, pd.DataFrame], trained: pd.DataFrame) -> pd.DataFrame:
    """A variant's costs at each task's own size beside the accuracy that the same models came to.

    last      of `lib.report.accuracy.judged`: one training of each variant on each task
    costs     "forward" and "training" -> passes of the models that were trained, with ratios to the baseline
    trained   cases of trainings: task, variant, budget, steps, seconds
    returns   rows of `last` of this variant, with `forward` and `training`, latencies relative to the baseline's, each
              with _low and _high; `memory`, peak of the training step, likewise; and steps and median seconds of the
              training and of the baseline's: steps, trained_seconds, baseline_steps, baseline_seconds
    """
    made = where(last, variant=name)
    for part, rows in costs.items():
        words = {f"latency_ratio{end}": f"{part}{end}" for end in ("", "_low", "_high")}
        words |= {"memory_ratio": "memory"} if part == TRAINING else {}
        made = made.merge(where(rows, variant=name)[[*KEYS, *words]].rename(columns=words), on=KEYS)
    own, base = (where(trained, variant=one)[[*KEYS, "budget", "steps", "seconds"]] for one in (name, BASELINE))
    made = made.merge(own.rename(columns={"seconds": "trained_seconds"}), on=[*KEYS, "budget"])
    words = {"steps": "baseline_steps", "seconds": "baseline_seconds"}
    return made.merge(base.drop(columns="budget").rename(columns=words), on=KEYS)
