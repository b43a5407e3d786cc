"""Trained S4D models made smaller, fine-tuned to answer as before, and held against models small from the start.

One record per task. A seed decides data, weights and batches alike; trainings run on several cores, and are resumed.
"""

import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import Any

import pandas as pd
import torch

from lib import names
from lib.experiments import base, command
from lib.experiments.distill_models import (
    BATCH,
    HEALING,
    METHOD_WORDS,
    ORDERS,
    RECORDED,
    SIZES,
    STATES,
    STEPS,
    Plan,
    keep,
    original,
    stored,
)
from lib.experiments.distill_models import (
    load as load,  # where readers look for it
)
from lib.experiments.sizes import check_memory
from lib.models.distill.replace import distill
from lib.paths import CHECKPOINTS, SWEEPS
from lib.records import Record
from lib.tasks.training import sweep
from lib.tasks.training.heal import heal

NAME = "distillation_{task}"
CHAPTER = "kernel_distillation"
TASKS = names.DISTILLED
STUDENTS = "students"
SHORTEST = 64  # tokens of a task's sequences
PARTS = {STUDENTS: ("task", "order", "healed", "states", "healing", "stored", "steps")}
ORIGINAL, CONTROL = "original", "scratch"  # in records, beside names of methods
SCRATCH = "small from the start"  # the control, as readers see it
LABELS = {name: row.label for name, row in names.DISTILLATIONS.items()} | {CONTROL: SCRATCH}
DATA = {name: names.SEQUENCES[name].label for name in TASKS}  # as frames have tasks
WORDS = {"variant": METHOD_WORDS | {CONTROL: SCRATCH}, "task": DATA}


@dataclass(frozen=True, kw_only=True)
class Settings(base.Settings):
    """What is trained.

    task             of TASKS
    seeds            originals, and everything that is made of each
    steps            of an original's training in a trial; 0 for its own, which a record needs
    healing          steps of distillation fine-tuning in a trial
    teacher_states   states per channel of an original
    orders           states, ranks or taps that are kept of them
    width, layers    sizes of all models
    """

    task: str = TASKS[0]
    seeds: int = 5
    steps: int = 0
    healing: int = HEALING
    teacher_states: int = STATES
    orders: tuple[int, ...] = ORDERS
    width: int = SIZES.dim
    layers: int = SIZES.layers

    @property
    def plans(self) -> list[Plan]:
        """A plan per seed.

        raises   ValueError, quoting it, for an unknown task
        """
        if self.task not in TASKS:
            raise ValueError(f"task = {self.task!r}: one of {', '.join(TASKS)} is needed")
        steps = {"steps": self.steps, "healing": self.healing} if self.steps else {"steps": STEPS, "healing": HEALING}
        sizes = {
            "states": self.teacher_states,
            "orders": tuple(self.orders),
            "width": self.width,
            "layers": self.layers,
        }
        return [Plan(self.task, seed, **steps, **sizes) for seed in range(self.seeds)]


@dataclass(frozen=True)
class Student:
    """What became of one original: of method ORIGINAL, itself; of CONTROL, a model small from the start.

    order     states, rank or taps per channel
    healed    whether it was fine-tuned after it was made smaller
    accuracy  share of right answers on the test set
    error     of the kernels of all layers, over their norm, before fine-tuning; None where there is nothing to compare
    stored    numbers that stand for the kernels
    seconds   of training, on one thread
    """

    method: str
    order: int
    healed: bool
    accuracy: float
    error: float | None
    stored: int
    seconds: float


def check(settings: Settings) -> None:
    """Accept settings that can be run here: weights, gradients and moments of a model, and what its layers keep.

    raises   ValueError, naming what decides it, for more memory than is free
    """
    weights = 4 * settings.width * (2 * settings.teacher_states + 2 * settings.width)
    kept = 8 * BATCH * SHORTEST * settings.width
    check_memory(settings, 0, "width", "layers", "teacher_states", drawn=settings.layers * (weights + kept))


def run(settings: Settings) -> Record:
    """Train the originals of a task and everything that is made of them."""
    check(settings)
    plans = settings.plans
    groups = by_seed(sweep.sweep(plans, made, SWEEPS))
    cases = base.Cases(PARTS)
    first = plans[0]
    shared = dict(task=first.task, states=first.states, healing=first.healing, steps=first.steps)
    for (method, order, healed), found in groups.items():
        measured = {
            "seconds": [one.seconds for one in found.values()],
            "accuracies": {seed: one.accuracy for seed, one in found.items()},
            "relative_errors": {seed: one.error for seed, one in found.items() if one.error is not None},
        }
        size = max(one.stored for one in found.values())
        word = RECORDED.get(method, method)
        cases.add(STUDENTS, word, measured=measured, order=order, healed=healed, stored=size, **shared)
    return base.record(NAME.format(task=first.task), cases, replace(settings, device="cpu"))


def made(plan: Plan) -> list[dict[str, Any]]:
    """All students of a plan, as plain values."""
    return [asdict(student) for student in students(plan)]


def students(plan: Plan) -> Iterator[Student]:
    """The original, whose weights are kept, and all that is made of it, in the order of `plan`."""
    start = perf_counter()
    teacher, task = original(plan)
    seconds, accuracy = perf_counter() - start, task.accuracy(teacher)
    keep(teacher, plan)
    yield Student(ORIGINAL, plan.states, False, accuracy, None, stored(teacher), seconds)
    for method in plan.methods:
        for order in plan.orders:
            student, layers = distill(teacher, order, method, task.length)
            error = torch.cat([layer.error for layer in layers]).square().mean().sqrt().item()
            size = sum(layer.parameters for layer in layers)
            yield Student(method, order, False, task.accuracy(student), error, size, 0.0)
            start, generator = perf_counter(), torch.Generator().manual_seed(plan.seed)
            heal(student, teacher, task.draw, plan.healing, generator=generator, batch=BATCH, progress=False)
            yield Student(method, order, True, task.accuracy(student), None, size, perf_counter() - start)
    for order in plan.orders:
        start = perf_counter()
        small, _ = original(replace(plan, states=order, steps=plan.steps + plan.healing))
        seconds = perf_counter() - start
        yield Student(CONTROL, order, False, task.accuracy(small), None, stored(small), seconds)


def by_seed(results: Mapping[Plan, list[dict[str, Any]]]) -> dict[tuple[str, int, bool], dict[int, Student]]:
    """What a sweep returned, of one task: method, order and whether fine-tuned -> seed -> student."""
    groups: dict[tuple[str, int, bool], dict[int, Student]] = {}
    for plan, found in results.items():
        for student in (Student(**one) for one in found):
            groups.setdefault((student.method, student.order, student.healed), {})[plan.seed] = student
    return groups


def ship(settings: Settings) -> Path:
    """Make the first seed's original the checkpoint of its task, which chapters and readers load."""
    return Path(shutil.copy(settings.plans[0].weights, CHECKPOINTS / f"s4d_{settings.task}.safetensors"))


def frame(found: Iterable[Record]) -> pd.DataFrame:
    """One row per case of these records, see `lib.experiments.base.frame`; methods by their labels."""
    return base.frame(found, PARTS, WORDS)


def accuracies(found: Iterable[Record]) -> pd.DataFrame:
    """One row per case and seed: the case's parameters, seed, accuracy (a share); methods by their labels."""
    return base.by_seed(found, PARTS, WORDS, accuracies="accuracy")


def main() -> None:
    """Run this experiment from the command line, see `lib.experiments.command.main`."""
    command.main(__doc__, CHAPTER, Settings, run, frame)


if __name__ == "__main__":
    main()
