"""Blocks at a low rate against the baseline, on the digits: time, memory and accuracy of the models that were trained.

Both headlines on sequence models are of the digits, since of distilled models those of the digits alone are timed.
"""

from collections.abc import Collection

import pandas as pd

from lib.experiments import mrss_scan, mrss_training
from lib.experiments.mrss_runs import BASELINE, LABELS, OPERATIONS, SIZES, STEPS
from lib.experiments.mrss_scan import label
from lib.report import frames, units
from lib.report.evidence import Evidence
from lib.report.headlines import sizes
from lib.report.headlines.case import MEMORY, QUARTILES, Headline, Measured, Model, Point, measured, points, right
from lib.report.views.base import known
from lib.report.views.files import naming_files

TASK = "digits"
LABEL = LABELS[TASK]
NAME = mrss_training.NAME.format(task=TASK)
BUDGETS = {STEPS: "equal steps", OPERATIONS: "equal operations"}


@naming_files
def headline(e: Evidence) -> Headline:
    """The low-rate form beside the two branches and the fastest other form that keeps the accuracy, after equal steps.

    raises   Missing where a form was not timed or not trained
    """
    factor = int(e.records(NAME)[0].parameters["r"])
    low, dual = (label(form, factor) for form in (mrss_scan.LOW, mrss_scan.DUAL))
    forward, training = (costs(e, part) for part in (mrss_training.FORWARD, mrss_training.TRAINING))
    after = frames.where(e.resolutions, task=LABEL, budget=STEPS)
    found = {
        "time": _ratio(forward, low, factor, QUARTILES),
        "memory": _ratio(forward, low, factor, MEMORY),
        "training time": _ratio(training, low, factor, QUARTILES),
        "right": _right(after, low, factor),
        "accuracy": _points(after, low, factor),
    }
    time, memory, trained, correct, gained = (one.printed for one in found.values())
    peers = {dual: "The original report's two branches take"}
    if other := fastest(after, forward, without=(low, dual, BASELINE)):
        peers[other] = f"The fastest other form that keeps the accuracy ({other}) takes"
    beside: dict[str, Measured] = {}
    said = []
    for variant, words in peers.items():
        took, came = _ratio(forward, variant, factor, QUARTILES), _points(after, variant, factor)
        beside |= {f"{variant}, time": took, f"{variant}, accuracy": came}
        said.append(f"{words} {took.printed} the time for {came.printed} points.")
    elsewhere = losses(e, low, factor)
    model = found["accuracy"].model
    return Headline(
        topic="Multi-resolution scan",
        text=(
            f"On {LABEL} ({model.sizes['tokens']} tokens), a Mamba of {model.sizes['layers']} blocks "
            f"({model.sizes['parameters of blocks']:,} parameters) at 1/{factor} of the temporal resolution takes "
            f"**{time}** the time and {memory} the memory of a baseline with the same number of parameters, and "
            f"{trained} the time of its training step. After equal steps it is right on {correct} of the "
            f"test, **{gained}** points relative to the baseline. {' '.join(said)} {lost(elsewhere)}"
        ),
        chapter="mrss",
        machine=e.title,
        model=model,
        measured=found,
        beside=beside | {name: one for name, (one, _) in elsewhere.items()},
        baseline="one resolution",
        proposed=Point(beside[f"{dual}, time"].value, f"two branches, {beside[f'{dual}, accuracy'].printed} points"),
        reached=Point(found["time"].value, f"low rate, {gained} points on {LABEL}"),
    )


def costs(e: Evidence, part: str) -> pd.DataFrame:
    """All forms at the task's own sizes in one pass, with ratios to the baseline."""
    rows = known(frames.where(e.frame(mrss_training, TASK), part=part), "seconds")
    return frames.ratios(rows, BASELINE, ("machine", "task"))


def fastest(after: pd.DataFrame, cost: pd.DataFrame, without: Collection[str]) -> str | None:
    """The variant of least time among those that keep the accuracy by mean or whole interval; None where none does."""
    good = after[after["verdict"].str.startswith("kept") & ~after["variant"].isin(without)]
    rows = cost[cost["variant"].isin(good["variant"])].sort_values("latency_ratio")
    return None if rows.empty else rows["variant"].iloc[0]


def losses(e: Evidence, variant: str, factor: int) -> dict[str, tuple[Measured, str]]:
    """Tasks on which a variant does not keep the accuracy after its last training: by how much, and in words."""
    last = frames.where(e.resolutions, variant=variant).drop_duplicates("task", keep="last")
    names, found = {words: name for name, words in LABELS.items()}, {}
    for _, row in last[~last["verdict"].str.startswith("kept")].iterrows():
        task = row["task"]
        one = points(row, mrss_training.NAME.format(task=names[task]), _model(task, variant, factor))
        what = f"{one.printed} points"
        if one.low is None:
            what = f"solved by {one.printed} seeds, of the baseline by {int(row['solved_by_baseline'])}"
        found[f"{task}, accuracy"] = one, f"{task} ({what} at {BUDGETS[row['budget']]}: {row['verdict']})"
    return found


def lost(found: dict[str, tuple[Measured, str]]) -> str:
    """Where it is not shown to keep the accuracy, in a sentence."""
    if not found:
        return "It keeps the accuracy on all tasks, by mean or surely."
    return f"It is not shown to keep the accuracy on {units.listed([said for _, said in found.values()])}."


def _model(task: str, variant: str, factor: int) -> Model:
    return Model(
        variant,
        task,
        {
            "tokens": sizes.tokens(task),
            "layers": SIZES.layers,
            "parameters of blocks": sizes.blocks(variant, factor),
        },
    )


def _ratio(rows: pd.DataFrame, variant: str, factor: int, columns: tuple[str, ...]) -> Measured:
    row = frames.only(rows, variant=variant)
    return measured(row, columns, units.times, NAME, _model(row["task"], variant, factor))


def _right(rows: pd.DataFrame, variant: str, factor: int) -> Measured:
    row = frames.only(rows, variant=variant)
    return right(row, NAME, _model(row["task"], variant, factor))


def _points(rows: pd.DataFrame, variant: str, factor: int) -> Measured:
    row = frames.only(rows, variant=variant)
    return points(row, NAME, _model(row["task"], variant, factor))
