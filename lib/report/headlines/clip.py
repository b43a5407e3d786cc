"""Merging in rounds on a small CLIP: time and memory of the image tower whose accuracy is quoted.

At the share of the operations at which all methods are compared. Of the tasks whose own tower is timed the last of
`lib.names.SMALL_CLIPS` is the case, which is the one of photographs; the others stand beside.
"""

import pandas as pd

from lib.experiments import clip_accuracy, clip_cost
from lib.experiments.clip_variants import NORM, ROUNDS, SHARE, UNREDUCED
from lib.names import SMALL_CLIPS
from lib.report import frames, units
from lib.report.evidence import Evidence
from lib.report.headlines import sizes
from lib.report.headlines.case import MEMORY, QUARTILES, Headline, Measured, Model, Point, itemised, measured, percent
from lib.report.views.base import known
from lib.report.views.files import naming_files


@naming_files
def headline(e: Evidence) -> Headline:
    """Merging in rounds beside the best other method that takes no more time, and beside the original report's norm.

    raises   Missing where no small CLIP was timed by its own image tower, or where no other method takes as little time
    """
    rows = settings(e)
    timed = {sizes.clip_of(checkpoint) for checkpoint in rows["checkpoint"]}
    *others, task = [task for task in SMALL_CLIPS if task in timed]
    rounds = {name: frames.only(rows, task=name, variant=ROUNDS, target=SHARE) for name in (*others, task)}
    found = _both(rounds[task])
    found["memory"] = _ratio(rounds[task], MEMORY)
    found = {name: found[name] for name in ("time", "memory", "accuracy")}
    cheaper = rows[(rows["task"] == task) & (rows["latency_ratio"] <= rounds[task]["latency_ratio"])]
    cheaper = cheaper[~cheaper["variant"].isin([ROUNDS, UNREDUCED])]
    rivals = {"best other": best(cheaper), "norm": best(cheaper[cheaper["variant"] == NORM])}
    beside = {f"{name}, {what}": one for name, row in rivals.items() for what, one in _both(row).items()}
    beside |= {f"{SMALL_CLIPS[name]}, {what}": one for name in others for what, one in _both(rounds[name]).items()}
    beside["own accuracy"] = _own(e, task)
    time, memory, kept = (one.printed for one in found.values())
    norm = Point(
        beside["norm, time"].value, f"norm, {beside['norm, accuracy'].printed} of the accuracy on {SMALL_CLIPS[task]}"
    )
    return Headline(
        topic="CLIP's visual tokens",
        text=itemised(
            f"In a small CLIP trained here, merging tokens in rounds takes **{time}** the time and {memory} the memory "
            f"of its image tower and retains **{kept}** of its accuracy on {SMALL_CLIPS[task]}, without further "
            "training.",
            f"The unreduced models are right on {beside['own accuracy'].printed} of {SMALL_CLIPS[task]}. "
            f"{_tower(task)}.",
            f"The best other method in no more measured time ({rivals['best other']['variant']}) takes "
            f"{_said(beside, 'best other')}.",
            f"The norm that the original report proposed takes {_said(beside, 'norm')}.",
            *(f"On {SMALL_CLIPS[name]} merging takes {_said(beside, SMALL_CLIPS[name])}." for name in others),
        ),
        chapter="clip_vtp",
        machine=e.title,
        model=found["time"].model,
        measured=found,
        beside=beside,
        baseline=UNREDUCED,
        proposed=norm,
        reached=Point(found["time"].value, f"merging, {kept} of the accuracy on {SMALL_CLIPS[task]}"),
    )


def settings(e: Evidence) -> pd.DataFrame:
    """Accuracy of every variant and share of the operations, beside time and memory of the very tower, per task."""
    cost = frames.ratios(known(frames.where(e.clip_cost, part=clip_cost.SMALL)), UNREDUCED, ("machine", "task"))
    held = ["task", "variant", "target", "checkpoint", *QUARTILES, *MEMORY]
    rows = e.clip_summary.merge(known(cost, "latency_ratio")[held], on=held[:3])
    return known(rows[[sizes.clip_of(row.checkpoint) == row.task for row in rows.itertuples()]])


def best(rows: pd.DataFrame) -> pd.Series:
    """The setting that retains most; the one of less time where two retain the same."""
    ranked = known(rows).sort_values(["retained", "latency_ratio"], ascending=[False, True])
    return ranked.iloc[0]


def _both(row: pd.Series) -> dict[str, Measured]:
    """Time and accuracy of one setting."""
    record = clip_accuracy.NAME.format(task=row["task"])
    return {"time": _ratio(row, QUARTILES), "accuracy": percent(row, "retained", record, _model(row, row["task"]))}


def _ratio(row: pd.Series, columns: tuple[str, ...]) -> Measured:
    return measured(row, columns, units.times, clip_cost.NAME, _model(row, sizes.clip_of(row["checkpoint"])))


def _model(row: pd.Series, task: str) -> Model:
    """A setting of the tower of a task."""
    return Model(f"{row['variant']}, {row['target']:g} of the operations", SMALL_CLIPS[task], sizes.tower(task))


def _own(e: Evidence, task: str) -> Measured:
    """Accuracy of the unreduced checkpoints: the mean, the least and the most."""
    right = frames.where(e.clip_outcomes, task=task, variant=UNREDUCED)["accuracy"]
    low, high = float(right.min()), float(right.max())
    model = Model(UNREDUCED, SMALL_CLIPS[task], sizes.tower(task))
    record = clip_accuracy.NAME.format(task=task)
    return Measured(right.mean(), low, high, f"{100 * low:.1f} to {100 * high:.1f} %", record, UNREDUCED, model)


def _tower(task: str) -> str:
    held = sizes.tower(task)
    return (
        f"Their image tower has {held['layers']} layers of {held['channels']} channels, for {held['patches']} patches"
    )


def _said(beside: dict[str, Measured], name: str) -> str:
    return f"{beside[f'{name}, time'].printed} and retains {beside[f'{name}, accuracy'].printed}"
