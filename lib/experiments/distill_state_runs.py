"""Trainings behind `distill_states`: Mambas of N states, what is kept of their states, and fine-tuning by distillation.

A seed decides everything. Each training is a job of its own; the weights of originals are kept beside its result.
"""

import copy
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from pathlib import Path
from time import perf_counter
from types import MappingProxyType
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from lib.models.distill.states.reduce import reduce_states
from lib.models.ssm.mamba import MambaClassifier, MambaConfig
from lib.paths import SWEEPS
from lib.tasks.data.sequences import BENCHMARKS, Task
from lib.tasks.training.heal import heal
from lib.tasks.training.loop import train
from lib.tasks.training.protocol import lowest

CONTINUED = "continued"  # in place of a criterion: the original, trained on
SEEN = 64  # sequences of the training data by which states are chosen
DRAWN = 2**29  # from a seed to the one that fine-tuning draws with: a CPU's generator reads a seed modulo 2**32


@dataclass(frozen=True)
class Plan:
    """How a task's models are trained.

    task      of `lib.names.BENCHMARKS`
    options   sizes of the task, as pairs
    dim, layers, states   of the original
    kept      numbers of states that are kept of it
    steps     of the original; a model small from the start has those of the fine-tuning, too
    healing   steps of fine-tuning by distillation
    batch     sequences of a step
    rates     learning rates that are screened for every number of states
    share     of a model's own rate, for its fine-tuning
    """

    task: str
    options: tuple[tuple[str, int], ...] = ()
    dim: int = 64
    layers: int = 2
    states: int = 16
    kept: tuple[int, ...] = (8, 4, 2)
    steps: int = 2000
    healing: int = 400
    batch: int = 64
    rates: tuple[float, ...] = (2.5e-3, 5e-3, 1e-2)
    share: float = 0.5


PLANS: Mapping[str, Plan] = MappingProxyType(
    {
        "mqar": Plan(
            "mqar",
            (("length", 26), ("pairs", 8), ("vocabulary", 34)),
            dim=32,
            steps=3000,
            healing=600,
            rates=(4e-3, 8e-3, 1.6e-2),
        ),
        "copying_long": Plan(
            "copying_long",
            (("noise", 32), ("items", 8), ("vocabulary", 10)),
            dim=32,
            steps=2500,
            healing=500,
            rates=(4e-3, 8e-3, 1.6e-2),
        ),
        "characters": Plan("characters", (("length", 256),), steps=800, healing=200, batch=8),
    }
)


@dataclass(frozen=True)
class Training:
    """One training from the start."""

    plan: Plan
    states: int
    rate: float
    steps: int
    seed: int
    device: str = "cpu"

    @property
    def task(self) -> str:
        """The task that is trained."""
        return self.plan.task

    @property
    def weights(self) -> Path:
        """Where the model is kept."""
        held = sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:16]
        return SWEEPS / f"mamba_{self.task}_{self.states}_{self.seed}_{held}.safetensors"


@dataclass(frozen=True)
class Student:
    """One reduction of an original, and its fine-tuning.

    keep        states that are kept
    criterion   of `lib.names.STATE_CHOICES`, or CONTINUED: all states, and the task's own loss
    """

    original: Training
    keep: int
    criterion: str

    @property
    def task(self) -> str:
        """The task that is trained."""
        return self.original.task

    @property
    def steps(self) -> int:
        """Steps of fine-tuning."""
        return self.original.plan.healing


@dataclass(frozen=True)
class Judged:
    """How good a model is: cross-entropy [nats] and share of right answers, held back and on the test; seconds trained.

    All are None of a training that diverged.
    """

    valid_loss: float | None
    valid_accuracy: float | None
    loss: float | None
    accuracy: float | None
    seconds: float


def made(run: Training) -> tuple[MambaClassifier, Task, torch.Generator]:
    """The model before its training, its task, and the generator that both were drawn with."""
    generator, plan = torch.Generator().manual_seed(run.seed), run.plan
    task = BENCHMARKS[plan.task](generator, **dict(plan.options))
    config = MambaConfig(dim=plan.dim, layers=plan.layers, states=run.states, vocabulary=task.vocabulary)
    model = MambaClassifier(config, task.inputs, task.classes, pooling=task.pooling, generator=generator)
    return model.to(run.device), task, generator


def train_one(run: Training) -> dict[str, Any]:
    """Train a model, keep it in its file, and return its `Judged` as plain values."""
    start = perf_counter()
    try:
        model, task = _trained(run)
    except FloatingPointError:  # a rate too high for it, which is not chosen
        return asdict(Judged(None, None, None, None, perf_counter() - start))
    return asdict(judged(model, task, perf_counter() - start))


def _trained(run: Training) -> tuple[MambaClassifier, Task]:
    model, task, generator = made(run)

    def losses():
        while True:
            x, answers = task.draw(run.plan.batch, generator)
            yield task.loss(model(x.to(run.device)), answers.to(run.device))

    train(model, losses(), run.steps, rate=run.rate, progress=False)
    run.weights.parent.mkdir(parents=True, exist_ok=True)
    part = run.weights.with_suffix(".part")
    save_file({name: weight.cpu().contiguous() for name, weight in model.state_dict().items()}, part)
    part.replace(run.weights)
    return model, task


def restored(run: Training) -> tuple[MambaClassifier, Task]:
    """A trained model from its file, or, where that is gone, trained again."""
    if not run.weights.is_file():
        return _trained(run)
    model, task, _ = made(run)
    model.load_state_dict(load_file(run.weights))
    return model.eval(), task


def reduce_one(run: Student) -> list[dict[str, Any]]:
    """Reduce an original and fine-tune what comes out; returns its `Judged` before and after, as plain values."""
    of = run.original
    teacher, task = restored(of)
    generator = torch.Generator().manual_seed(of.seed + DRAWN)
    seen, _ = task.draw(SEEN, generator)
    if run.criterion == CONTINUED:
        student, share = copy.deepcopy(teacher), 1.0  # a teacher of itself would hold it where it is
    else:
        student = reduce_states(teacher, run.keep, run.criterion, seen.to(of.device), generator=generator)
        share = 0.5
    before, start = judged(student, task, 0.0), perf_counter()
    options = {"rate": of.plan.share * of.rate, "batch": of.plan.batch, "loss": task.loss, "share": share}
    heal(student, teacher, task.draw, run.steps, generator=generator, answered=True, progress=False, **options)
    return [asdict(before), asdict(judged(student, task, perf_counter() - start))]


def judged(model: MambaClassifier, task: Task, seconds: float) -> Judged:
    """A model on what is held back, by which rates are chosen, and on the test."""
    return Judged(*task.judged(model, task.valid), *task.judged(model), seconds)


def screened(plan: Plan, seed: int, device: str = "cpu") -> list[Training]:
    """Trainings of every number of states at every rate, from one seed."""
    return [
        Training(plan, states, rate, steps_of(plan, states), seed, device)
        for states in (plan.states, *plan.kept)
        for rate in plan.rates
    ]


def steps_of(plan: Plan, states: int) -> int:
    """Steps of a training: of the original its own, of a model small from the start those of fine-tuning, too."""
    return plan.steps + (0 if states == plan.states else plan.healing)


def chosen(found: Mapping[Training, Judged]) -> dict[int, Training]:
    """Number of states -> the training of the lowest loss on what is held back.

    raises   ValueError where all trainings of a number of states diverged
    """
    losses: dict[int, dict[Training, float | None]] = {}
    for run, one in found.items():
        losses.setdefault(run.states, {})[run] = one.valid_loss
    return {states: lowest(trials, f"{states} states") for states, trials in losses.items()}


def repeated(best: Mapping[int, Training], seeds: range) -> list[Training]:
    """The chosen trainings from every seed."""
    return [replace(run, seed=seed) for run in best.values() for seed in seeds]
