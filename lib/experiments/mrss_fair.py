"""One protocol for every variant: a rate and a decay chosen on held-back data, then trainings of two equal budgets.

Each variant, the baseline included, has the same trials: every rate of RATES at the first of DECAYS, then the best rate
at the others, a quarter of the steps each, from a seed that is not compared. The lowest loss on held-back data wins.
The compared trainings take the baseline's steps, or the steps that fit into the baseline's time by measured training
steps. The test set judges each of them once.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from math import inf
from pathlib import Path
from time import perf_counter
from typing import Any

import torch

from lib.experiments.mrss_plans import PLANS, Plan, Variant
from lib.experiments.mrss_runs import MEANS, ROUTING, build, means
from lib.models.mrss import variants as mrss
from lib.profilers.passes import passes
from lib.tasks.data.sequences import BENCHMARKS, Task
from lib.tasks.training.loop import train
from lib.tasks.training.protocol import DECAYS, HELD_BACK, RATES, TRIED, first, lowest, one_thread
from lib.tasks.training.protocol import STEPS as STEPS  # for readers of the record
from lib.tasks.training.protocol import TIME as TIME
from lib.tasks.training.sweep import sweep

WATCHED = 2**15  # tokens held back that the loss is followed on; the choice is by HELD_BACK
TESTED = 128  # sequences of another length


@dataclass(frozen=True)
class Training:
    """One training. The seed decides data, weights and batches.

    plan     its name in PLANS
    label    of the variant
    source   of CIFAR-10, where the task is of its images
    judged   whether the test set judges what comes out; a trial is not
    """

    plan: str
    label: str
    variant: Variant
    rate: float
    decay: float
    steps: int
    seed: int
    source: str = ""
    device: str = "cpu"
    judged: bool = False

    @property
    def task(self) -> str:
        """Name of the task, for whoever waits."""
        return PLANS[self.plan].task


@dataclass(frozen=True)
class Costs:
    """What is timed before trainings of equal time are planned: training steps of all variants, on one thread."""

    plan: str
    variants: tuple[tuple[str, Variant], ...]
    source: str = ""
    device: str = "cpu"
    steps: int = 0

    @property
    def task(self) -> str:
        """Name of the task, for whoever waits."""
        return PLANS[self.plan].task


@dataclass(frozen=True)
class Outcome:
    """What came out of a training.

    valid     [nats] on held-back data; None where the loss was not finite at some step
    curve     [nats] the same on a part of it, after every twentieth of the steps
    losses    [nats] means over every twentieth of the steps
    steps     taken
    seconds   of the steps, on one thread, or on a GPU
    accuracy, loss   on the test set; None of a trial
    lengths   length of sequences -> accuracy on sequences of that length
    """

    valid: float | None
    curve: list[float]
    losses: list[float]
    steps: int
    seconds: float
    accuracy: float | None = None
    loss: float | None = None
    lengths: Mapping[str, float] | None = None


def task_of(plan: Plan, variant: Variant, source: str, generator: torch.Generator, **more: int) -> Task:
    """The task of a plan at a variant's sizes."""
    given = {"source": source} if source else {}
    return BENCHMARKS[plan.task](generator, **{**given, **plan.options, **dict(variant.options), **more})


def train_one(run: Training) -> dict[str, Any]:
    """Train one variant, and return its `Outcome` as plain values."""
    plan, generator = PLANS[run.plan], torch.Generator().manual_seed(run.seed)
    task = task_of(plan, run.variant, run.source, generator)
    model = build(run.variant.config, task, generator).to(run.device)
    held_back, curve = first(task.valid, WATCHED), []
    spent = [0.0]  # in judging

    def follow() -> float:
        start = perf_counter()
        curve.append(round(task.judged(model, held_back)[0], 5))
        spent[0] += perf_counter() - start
        return -inf

    def losses():
        while True:
            x, answers = task.draw(plan.batch, generator)
            yield task.loss(model(x.to(run.device)), answers.to(run.device)) + ROUTING * mrss.balance(model)

    start, width = perf_counter(), max(1, run.steps // MEANS)
    options = {"rate": run.rate, "decay": run.decay, "every": width, "judge": follow, "progress": False}
    try:
        taken = train(model, losses(), run.steps, **options)
    except FloatingPointError:
        return asdict(Outcome(None, curve, [], 0, perf_counter() - start))
    seconds = perf_counter() - start - spent[0]
    valid, _ = task.judged(model, first(task.valid, HELD_BACK))
    follow()
    found = Outcome(valid, curve, means(taken, width), len(taken), seconds)
    if not run.judged:
        return asdict(found)
    loss, accuracy = task.judged(model)
    lengths = {}
    for length in plan.lengths:
        again = torch.Generator().manual_seed(run.seed)
        other = task_of(plan, run.variant, run.source, again, tested=TESTED, **{plan.longer: length})
        lengths[str(other.length)] = other.accuracy(model, size=16)
    return asdict(replace(found, accuracy=accuracy, loss=loss, lengths=lengths))


def cost_all(run: Costs) -> dict[str, Any]:
    """Time the training step of every variant on a batch of the plan's: label -> seconds of the fastest of 15 rounds.

    The fastest, since others may compute beside: here a budget is planned, and what is reported is timed on its own.
    """
    steps = measured(run, runs=15, warmup=1, device=run.device, progress=False)["training"]
    return {name: min(one.seconds) for name, one in steps.items() if one.error is None}


def measured(run: Costs, **options: Any) -> dict[str, dict[str, Any]]:
    """Profiles of all variants' passes on a batch of the plan's, in turns, on one thread; see `passes`."""
    plan, models = PLANS[run.plan], {}
    for label, variant in run.variants:
        generator = torch.Generator().manual_seed(TRIED)
        task = task_of(plan, variant, run.source, generator)
        model = mrss.spend(build(variant.config, task, generator)).to(run.device)
        x, _ = task.draw(plan.batch, generator)
        models[label] = Fed(model, x.to(run.device))
    with one_thread():
        return passes(models, torch.zeros(()), **options)


class Fed(torch.nn.Module):
    """A model with its own input: variants behind patches of another size read another batch."""

    def __init__(self, model: torch.nn.Module, x: torch.Tensor):
        super().__init__()
        self.model, self.x = model, x

    def forward(self, _: torch.Tensor) -> torch.Tensor:
        """The model's answers to its input."""
        return self.model(self.x)


def tuned(name: str, chosen: Mapping[str, Variant], folder: Path, source: str, steps: int, **options: Any) -> dict:
    """Try the same rates and decays for every variant.

    steps    of a trial
    returns  label -> trial -> its outcome; those that diverged have no loss
    """

    def tried(pairs: Iterable[tuple[str, float, float]]) -> dict[str, dict[Training, Outcome]]:
        of = [Training(name, label, chosen[label], *pair, steps, TRIED, source, device) for label, *pair in pairs]
        found: dict[str, dict[Training, Outcome]] = {}
        for run, result in sweep(of, train_one, folder, **options).items():
            found.setdefault(run.label, {})[run] = Outcome(**result)
        return found

    device = options.pop("device", "cpu")
    rates = tried((label, rate, DECAYS[0]) for label in chosen for rate in RATES)
    best_rates = {label: best(trials).rate for label, trials in rates.items()}
    decays = tried((label, rate, decay) for label, rate in best_rates.items() for decay in DECAYS[1:])
    return {label: trials | decays.get(label, {}) for label, trials in rates.items()}


def best(trials: Mapping[Training, Outcome]) -> Training:
    """The trial of the lowest loss on held-back data.

    raises   ValueError, naming the variant, where all of them diverged
    """
    return lowest({run: found.valid for run, found in trials.items()}, next(iter(trials)).label)
