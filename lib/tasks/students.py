"""Trained S4D models, made smaller, healed, and held against models that were small from the start."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from time import perf_counter

import torch

from lib.models.distill import distill
from lib.models.mamba import MambaClassifier, MambaConfig
from lib.models.s4d_block import S4DBlock
from lib.tasks.heal import heal
from lib.tasks.sequences import TASKS, Task
from lib.tasks.train import train

RATE, BATCH = 4e-3, 32
SIZES = MambaConfig(dim=64, layers=4)
ORDERED = ("modal", "balanced_truncation")  # methods whose order is a number of states: a small model has as many


@dataclass(frozen=True)
class Plan:
    """One original model and everything that is made of it; the seed decides data, weights and batches.

    states    N of the original's S4D layers, real ones
    orders    what is kept of them: states, ranks or taps per channel
    methods   of `lib.models.distill`
    steps     of the original's training; a model that is small from the start gets those of the healing, too
    healing   steps of it
    """

    task: str
    seed: int
    states: int = 64
    orders: tuple[int, ...] = (2, 4, 8, 16, 32)
    methods: tuple[str, ...] = ("modal", "balanced_truncation", "truncated_svd", "structured_sparse")
    steps: int = 400
    healing: int = 60


@dataclass(frozen=True)
class Student:
    """What became of one original: of `method` "original", itself; of "scratch", a model small from the start.

    order     states, rank or taps per channel
    healed    whether it was trained after it was made smaller
    accuracy  share of right answers on the test set
    error     of the kernels of all layers, over their norm, before healing; None where there is nothing to compare
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


def build(task: Task, states: int, generator: torch.Generator) -> MambaClassifier:
    """A classifier of S4D blocks of N states per channel."""
    mixers = (S4DBlock(SIZES.dim, states=states, generator=generator) for _ in range(SIZES.layers))
    return MambaClassifier(SIZES, task.inputs, task.classes, pooling=task.pooling, mixers=mixers, generator=generator)


def original(plan: Plan, states: int | None = None, steps: int | None = None) -> tuple[MambaClassifier, Task]:
    """A model trained by a plan, and its task; of fewer states or more steps than the plan says, if asked for."""
    generator = torch.Generator().manual_seed(plan.seed)
    task = TASKS[plan.task](generator)
    model = build(task, states or plan.states, generator)

    def losses():
        while True:
            x, answers = task.draw(BATCH, generator)
            yield task.loss(model(x), answers)

    train(model, losses(), steps or plan.steps, rate=RATE, progress=False)
    return model, task


def students(plan: Plan) -> Iterator[Student]:
    """The original, and all that is made of it, in the order of `plan`."""
    start = perf_counter()
    teacher, task = original(plan)
    stored = SIZES.layers * SIZES.dim * 2 * plan.states
    yield Student("original", plan.states, False, task.accuracy(teacher), None, stored, perf_counter() - start)
    for method in plan.methods:
        for order in plan.orders:
            student, layers = distill(teacher, order, method, task.length)
            error = torch.cat([layer.error for layer in layers]).square().mean().sqrt().item()
            student_of = partial(Student, method, order, error=error, stored=sum(layer.parameters for layer in layers))
            yield student_of(False, task.accuracy(student), seconds=0.0)
            start = perf_counter()
            generator = torch.Generator().manual_seed(plan.seed)
            heal(student, teacher, task.draw, plan.healing, generator=generator, batch=BATCH, progress=False)
            yield student_of(True, task.accuracy(student), seconds=perf_counter() - start)
    for order in plan.orders:
        start = perf_counter()
        small, _ = original(plan, order, plan.steps + plan.healing)
        yield Student(
            "scratch",
            order,
            False,
            task.accuracy(small),
            None,
            SIZES.layers * SIZES.dim * 2 * order,
            perf_counter() - start,
        )
