"""A trained S4D model with fewer states, on the digits: the time of the form whose accuracy is quoted.

Of the fine-tuned models whose time is recorded, the one of fewest states that keeps the accuracy by its whole interval.
"""

import pandas as pd

from lib.experiments import distill_cost, distill_training
from lib.experiments.distill_cost import LOW, SMALL
from lib.experiments.distill_models import SIZES
from lib.experiments.mrss_training import POINT
from lib.names import DISTILLATIONS, SEQUENCES
from lib.report import frames, units
from lib.report.evidence import Evidence
from lib.report.frames import Missing
from lib.report.headlines import sizes
from lib.report.headlines.case import (
    MEMORY,
    QUARTILES,
    Headline,
    Measured,
    Model,
    Point,
    itemised,
    measured,
    points,
    right,
)
from lib.report.views.files import naming_files

TASK = "digits"  # of the model that is timed
LABEL = SEQUENCES[TASK].label
COSTS, ACCURACIES = distill_cost.NAME, distill_training.NAME.format(task=TASK)
SVD = DISTILLATIONS["truncated_svd"].label
SCRATCH = distill_training.SCRATCH
RANK, STATES = "rank", "states"
BALANCED = [row.label for name, row in DISTILLATIONS.items() if name.startswith("balanced")]  # the plain one first


@naming_files
def headline(e: Evidence) -> Headline:
    """The reduced model beside one of as many states from the start, and the original report's low rank.

    raises   Missing where no reduced model that was timed keeps the accuracy by its whole interval
    """
    costs = e.distilled_models
    rows = frames.where(e.student_quality, task=LABEL)
    method = next((name for name in BALANCED if name in set(rows["variant"])), BALANCED[0])
    states = fewest(frames.where(rows, variant=method, healed=True), costs)
    tuned = {
        name: _points(frames.only(rows, variant=name, order=states, healed=name != SCRATCH), e)
        for name in (method, SCRATCH, SVD)
    }
    found = {
        "time": _ratio(costs, SMALL.format(states), QUARTILES),
        "memory": _ratio(costs, SMALL.format(states), MEMORY),
        "right": right(frames.only(rows, variant=method, order=states, healed=True), ACCURACIES, tuned[method].model),
        "accuracy": tuned[method],
    }
    model = tuned[method].model
    whole, low = SMALL.format(model.sizes["states of the original"]), LOW.format(states)
    beside = {f"{SCRATCH}, accuracy": tuned[SCRATCH], f"{SVD}, accuracy": tuned[SVD]}
    beside |= {f"{one}, time": _ratio(costs, one, QUARTILES) for one in (whole, low) if one in set(costs["variant"])}
    ahead = {f"gain at {order} states": one for order, one in gains(e, method).items()}
    time, memory, correct, kept = (one.printed for one in found.values())
    return Headline(
        topic="Distilled kernels",
        text=itemised(
            f"On {LABEL}, an S4D model cut to {states} states per channel and fine-tuned takes **{time}** the time of "
            f"the original with full kernels by FFT, and its accuracy is **{kept}** points relative to it.",
            f"It takes {memory} the memory, and is right on {correct} of the test.",
            f"Both models have {SIZES.layers} blocks of {SIZES.dim} channels and read {model.sizes['tokens']} tokens; "
            f"the original has {model.sizes['states of the original']} states per channel.",
            *_alternatives(states, beside, whole, low),
            *gained(ahead),
        ),
        chapter="kernel_distillation",
        machine=e.title,
        model=model,
        measured=found,
        beside=beside | ahead,
        baseline="full kernels",
        proposed=_proposed(beside, low),
        reached=Point(found["time"].value, f"{states} states, {kept} points on {LABEL}"),
    )


def fewest(rows: pd.DataFrame, costs: pd.DataFrame) -> int:
    """The fewest states at which the fine-tuned model keeps the accuracy by its whole interval and was timed.

    rows   of `Views.student_quality`: fine-tuned models of one task and method
    """
    kept = rows.loc[rows["difference_low"] >= -POINT, "order"].map(int)
    found = [states for states in kept if SMALL.format(states) in set(costs["variant"])]
    if not found:
        raise Missing(f"no reduced model that was timed keeps the accuracy on {LABEL} by its whole interval")
    return min(found)


def gains(e: Evidence, method: str) -> dict[int, Measured]:
    """Number of states -> accuracy minus that of a model of as many states from the start, where it is surely above."""
    rows = frames.where(e.against_small, task=LABEL, variant=method)
    return {int(row["order"]): _points(row, e) for _, row in rows[rows["difference_low"] > 0].iterrows()}


def _alternatives(states: int, beside: dict[str, Measured], whole: str, low: str) -> list[str]:
    """The strongest alternatives, with times where they are recorded."""
    scratch, svd = (beside[f"{name}, accuracy"].printed for name in (SCRATCH, SVD))
    took = f", at {beside[f'{low}, time'].printed} the time" if f"{low}, time" in beside else ""
    said = [
        f"A model of {states} states from the start, of the same time, differs by {scratch} points.",
        f"The original report's low rank (rank {states}, fine-tuned alike) differs by {svd} points{took}.",
    ]
    if f"{whole}, time" in beside:
        said.append(f"The recurrence with all states takes {beside[f'{whole}, time'].printed} the time.")
    return said


def gained(ahead: dict[str, Measured]) -> list[str]:
    """Where distillation is ahead of a model that is small from the start."""
    if not ahead:
        return ["At no number of states is it surely ahead of a model that is small from the start."]
    where = units.listed([str(one.model.sizes[STATES]) for one in ahead.values()])
    first = f"Against a model of as many states from the start it is surely ahead at {where} states alone."
    return [first, *(f"At {one.model.sizes[STATES]} states, by {one.printed} points." for one in ahead.values())]


def _proposed(beside: dict[str, Measured], low: str) -> Point | None:
    if f"{low}, time" not in beside:
        return None
    return Point(beside[f"{low}, time"].value, f"low rank, {beside[f'{SVD}, accuracy'].printed} points")


def _ratio(costs: pd.DataFrame, variant: str, columns: tuple[str, ...]) -> Measured:
    """Of the timed model, whose weights say what it is."""
    row, said = frames.only(costs, variant=variant), sizes.header(distill_cost.CHECKPOINT)
    before = LOW.partition("{")[0]
    low = variant.startswith(before)
    order = int(variant.removeprefix(before)) if low else distill_cost.states_of(variant)
    model = _model(said["task"], int(row["length"]), int(said["states"]), RANK if low else STATES, order)
    return measured(row, columns, units.times, COSTS, model)


def _points(row: pd.Series, e: Evidence) -> Measured:
    """Of trained models."""
    of = int(frames.where(e.students, task=row["task"])["states"].iloc[0])
    kind = RANK if row["variant"] == SVD else STATES
    return points(row, ACCURACIES, _model(TASK, sizes.tokens(row["task"]), of, kind, int(row["order"])))


def _model(task: str, tokens: int, of: int, kind: str, order: int) -> Model:
    held = {"tokens": tokens, "states of the original": of, kind: order}
    return Model(f"S4D, {order} {kind}", SEQUENCES[task].label, held)
