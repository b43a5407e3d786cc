"""Adapters on all linear layers of a small CLIP, on new labels: all from the trainings whose accuracy is quoted.

The last task of `lib.names.SMALL_CLIPS` is the case, which is the one of photographs; the others stand beside.
"""

import pandas as pd

from lib.experiments import lora_labels
from lib.experiments.lora_cases import BOTTLENECK
from lib.experiments.lora_training import FULL, RANK, USUAL
from lib.names import SMALL_CLIPS
from lib.report import frames, units
from lib.report.evidence import Evidence
from lib.report.headlines.case import (
    QUARTILES,
    Headline,
    Measured,
    Model,
    Point,
    itemised,
    measured,
    points,
    right,
    share,
)
from lib.report.views.base import known
from lib.report.views.files import naming_files

*OTHERS, TASK = SMALL_CLIPS


@naming_files
def headline(e: Evidence) -> Headline:
    """Adapters beside the best other ones after the same number of steps, and beside the original report's bottleneck.

    raises   Missing where a training was not timed, or where there are no other adapters
    """
    rows, compared = costs(e), e.against_full_tuning
    rows = rows.merge(frames.where(compared, task=TASK), on=["machine", "task", "variant"])
    usual = frames.only(rows, variant=USUAL)
    others = rows[(rows["steps"] == usual["steps"]) & (rows["way"] == "lora") & (rows["variant"] != USUAL)]
    other = known(others).sort_values("difference").iloc[-1]
    found = {
        "time": _ratio(usual),
        "weights": _share(usual, "share"),
        "optimiser's memory": _share(usual, "optimiser_ratio"),
        "right": right(usual, _name(usual), _model(usual)),
        "accuracy": _points(usual),
    }
    beside = {
        "best other adapters, time": _ratio(other),
        "best other adapters, weights": _share(other, "share"),
        "best other adapters, accuracy": _points(other),
    }
    bottleneck = frames.only(rows, variant=BOTTLENECK)
    beside |= {"bottleneck, time": _ratio(bottleneck), "bottleneck, accuracy": _points(bottleneck)}
    for task in OTHERS:
        beside[f"{SMALL_CLIPS[task]}, accuracy"] = _points(frames.only(compared, task=task, variant=USUAL))
    time, weights, memory, correct, gained = (one.printed for one in found.values())
    low, high = (units.times(usual[name]) for name in QUARTILES[1:])
    best, bottom = (
        f"{beside[f'{name}, time'].printed} the time for {beside[f'{name}, accuracy'].printed} points"
        for name in ("best other adapters", "bottleneck")
    )
    label = SMALL_CLIPS[TASK]
    full = int(frames.only(rows, variant=FULL)["total"])
    return Headline(
        topic="Low-rank adapters",
        text=itemised(
            f"On new labels of {label}, adapters on all linear layers of a small CLIP (*{USUAL}*) train {weights} of "
            f"the weights in **{time}** the time of full fine-tuning, and their accuracy is **{gained}** points "
            "relative to it, after equal steps.",
            f"They are right on {correct} of the test. The quartiles of their time are {low} to {high}.",
            f"Their optimiser takes {memory} of the memory of full fine-tuning's, of {full:,} parameters.",
            f"The best other adapters (*{other['variant']}*, {beside['best other adapters, weights'].printed} of the "
            f"weights) take {best}.",
            f"Layers of the original report's bottleneck take {bottom}.",
            *(
                f"On new labels of {SMALL_CLIPS[task]} the same adapters come to "
                f"{beside[f'{SMALL_CLIPS[task]}, accuracy'].printed} points."
                for task in OTHERS
            ),
        ),
        chapter="lora",
        machine=e.title,
        model=found["time"].model,
        measured=found,
        beside=beside,
        baseline=FULL,
        proposed=Point(
            beside["bottleneck, time"].value, f"bottleneck, {beside['bottleneck, accuracy'].printed} points"
        ),
        reached=Point(found["time"].value, f"rank {RANK}, {gained} points, {weights} of the weights"),
    )


def costs(e: Evidence) -> pd.DataFrame:
    """Trainings on the task, with ratios of their own seconds and of their optimiser's memory to full fine-tuning."""
    rows = known(frames.where(e.frame(lora_labels, TASK), measured="accuracy"), "seconds")
    rows = frames.ratios(rows, FULL, ("machine", "task"))
    whole = frames.only(rows, variant=FULL)["optimiser_bytes"]
    return rows.assign(share=rows["trainable"] / rows["total"], optimiser_ratio=rows["optimiser_bytes"] / whole)


def _model(row: pd.Series) -> Model:
    return Model(row["variant"], f"new labels of {SMALL_CLIPS[row['task']]}")


def _ratio(row: pd.Series) -> Measured:
    return measured(row, QUARTILES, units.times, _name(row), _model(row))


def _share(row: pd.Series, column: str) -> Measured:
    return measured(row, (column,), share, _name(row), _model(row))


def _points(row: pd.Series) -> Measured:
    return points(row, _name(row), _model(row))


def _name(row: pd.Series) -> str:
    return lora_labels.NAME.format(task=row["task"])
