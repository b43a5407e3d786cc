"""Trained S4D models, made smaller, healed, and held against models that were small from the start."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_model, save_file

from lib.models.distill.replace import distill
from lib.models.ssm.mamba import MambaClassifier, MambaConfig
from lib.models.ssm.s4d import S4D
from lib.models.ssm.s4d_block import S4DBlock
from lib.paths import SWEEPS
from lib.tasks.data.sequences import TASKS, Task
from lib.tasks.training.heal import heal
from lib.tasks.training.loop import train

RATE, BATCH = 4e-3, 32
SIZES = MambaConfig(dim=64, layers=4)


@dataclass(frozen=True)
class Plan:
    """One original model and everything that is made of it; the seed decides data, weights and batches.

    states    N of the original's S4D layers, real ones
    orders    what is kept of them: states, ranks or taps per channel
    methods   of `lib.models.distill.replace`
    steps     of the original's training; a model that is small from the start gets those of the healing, too
    healing   steps of it
    """

    task: str
    seed: int
    states: int = 128
    orders: tuple[int, ...] = (2, 4, 8, 16)
    methods: tuple[str, ...] = ("modal", "balanced_truncation", "truncated_svd", "structured_sparse")
    steps: int = 400
    healing: int = 100

    @property
    def weights(self) -> Path:
        """Where the original is kept."""
        return SWEEPS / f"s4d_{self.task}_{self.states}_{self.steps}_{self.seed}.safetensors"


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


def original(plan: Plan) -> tuple[MambaClassifier, Task]:
    """A model trained by a plan, and its task."""
    generator = torch.Generator().manual_seed(plan.seed)
    task = TASKS[plan.task](generator)
    model = build(task, plan.states, generator)

    def losses():
        while True:
            x, answers = task.draw(BATCH, generator)
            yield task.loss(model(x), answers)

    train(model, losses(), plan.steps, rate=RATE, progress=False)
    return model, task


def students(plan: Plan) -> Iterator[Student]:
    """The original, whose weights are kept, and all that is made of it, in the order of `plan`."""
    start = perf_counter()
    teacher, task = original(plan)
    seconds, accuracy = perf_counter() - start, task.accuracy(teacher)
    keep(teacher, plan)
    yield Student("original", plan.states, False, accuracy, None, _stored(teacher), seconds)
    for method in plan.methods:
        for order in plan.orders:
            student, layers = distill(teacher, order, method, task.length)
            error = torch.cat([layer.error for layer in layers]).square().mean().sqrt().item()
            stored = sum(layer.parameters for layer in layers)
            yield Student(method, order, False, task.accuracy(student), error, stored, 0.0)
            start, generator = perf_counter(), torch.Generator().manual_seed(plan.seed)
            heal(student, teacher, task.draw, plan.healing, generator=generator, batch=BATCH, progress=False)
            yield Student(method, order, True, task.accuracy(student), None, stored, perf_counter() - start)
    for order in plan.orders:
        start = perf_counter()
        small, _ = original(replace(plan, states=order, steps=plan.steps + plan.healing))
        seconds = perf_counter() - start
        yield Student("scratch", order, False, task.accuracy(small), None, _stored(small), seconds)


def made(plan: Plan) -> list[dict[str, Any]]:
    """All `students` of a plan, as plain values."""
    return [asdict(student) for student in students(plan)]


def by_seed(results: Mapping[Plan, list[dict[str, Any]]]) -> dict[tuple[str, int, bool], dict[int, Student]]:
    """What a sweep returned, of one task: method, order and whether healed -> seed -> student."""
    groups: dict[tuple[str, int, bool], dict[int, Student]] = {}
    for plan, found in results.items():
        for student in (Student(**one) for one in found):
            groups.setdefault((student.method, student.order, student.healed), {})[plan.seed] = student
    return groups


def keep(model: MambaClassifier, plan: Plan) -> None:
    """Write an original's weights, and what they are of, to `plan.weights`."""
    plan.weights.parent.mkdir(parents=True, exist_ok=True)
    part = plan.weights.with_suffix(".part")
    made_of = {name: str(getattr(plan, name)) for name in ("task", "seed", "states", "steps")}
    save_file({name: value.contiguous() for name, value in model.state_dict().items()}, part, made_of)
    part.replace(plan.weights)


def load(path: Path) -> tuple[MambaClassifier, Task]:
    """An original from its file, and its task with the test set that it was judged by.

    raises   FileNotFoundError, naming the file, and ValueError where it holds no original
    """
    try:
        with safe_open(path, "pt") as file:
            made_of = file.metadata() or {}
    except SafetensorError as error:
        raise ValueError(f"{path}: not readable as safetensors ({error})") from None
    if not {"task", "seed", "states"} <= set(made_of):
        raise ValueError(f"{path}: not a model of ours, its header lacks task, seed and states")
    generator = torch.Generator().manual_seed(int(made_of["seed"]))
    task = TASKS[made_of["task"]](generator)
    model = build(task, int(made_of["states"]), generator)
    load_model(model, path)
    return model.eval(), task


def _stored(model: MambaClassifier) -> int:
    """Numbers that stand for the kernels: decay and weight of every mode."""
    return sum(2 * layer.C.numel() for layer in model.modules() if isinstance(layer, S4D))
