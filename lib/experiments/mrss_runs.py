"""Trainings of multi-resolution models: what is trained, for how many steps, and what comes out.

A seed decides everything. Trainings run on several cores, and what is finished is kept.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from statistics import fmean
from time import perf_counter
from typing import Any

import torch

from lib import names
from lib.models.mrss import variants as mrss
from lib.models.mrss.variants import MrssConfig
from lib.models.ssm.mamba import MambaClassifier, MambaConfig
from lib.tasks.data.sequences import TASKS as DATA
from lib.tasks.data.sequences import Task
from lib.tasks.training.loop import train
from lib.tasks.training.sweep import sweep

TASKS = tuple(names.SEQUENCES)
LABELS = {name: row.label for name, row in names.SEQUENCES.items()}  # as frames have tasks
BASELINE = "baseline"
STEPS, OPERATIONS = "steps", "operations"  # budgets: what a variant has as many of as the baseline
SIZES = MambaConfig(dim=64, layers=4)  # of the baseline
NEW = 2**31  # from a seed to that of the sequences that may end its training; a CPU reads a seed modulo 2**32
ROUTING = 1.0  # weight of a router's distance from its budget in the loss
MEANS = 20  # of losses are recorded for a training


@dataclass(frozen=True)
class Plan:
    """How a task is trained: the baseline's steps, sequences in a batch, the highest learning rate.

    The rate is among the best of several for the baseline; variants take it as it is. The steps bring recall to an
    end. On the others the baseline still learns, slowly.
    """

    steps: int
    batch: int
    rate: float


USUAL = Plan(400, 32, 8e-3)
PLANS = {  # of tasks that need another one
    "clocks": Plan(800, 32, 8e-3),
    "motions": Plan(200, 32, 8e-3),
    "copying": Plan(1000, 64, 6e-3),  # at 8e-3 one of five baselines diverges
    "induction": Plan(500, 64, 6e-3),
}


def plan_of(task: str) -> Plan:
    """How a task is trained: as most are, unless it has a plan of its own."""
    return PLANS.get(task, USUAL)


@dataclass(frozen=True)
class Run:
    """One training. The seed decides the test set, the weights and the batches."""

    task: str
    variant: str  # by the name that tables and figures use
    config: MrssConfig  # without a vocabulary: the task brings it
    budget: str  # STEPS or OPERATIONS
    steps: int
    seed: int
    device: str = "cpu"


@dataclass(frozen=True)
class Result:
    """What came out of a training.

    accuracy  share of right answers on the test set
    losses    [nats] means over every twentieth of the steps planned; fewer where a training ended early
    steps     taken
    seconds   on one thread, or on a GPU
    """

    accuracy: float
    losses: list[float]
    steps: int
    seconds: float


def check_task(task: str) -> None:
    """Accept a task of TASKS.

    raises   ValueError, quoting it and listing those that there are
    """
    if task not in TASKS:
        raise ValueError(f"task {task!r}: one of {', '.join(TASKS)} is needed")


def planned(
    task: str,
    variants: Mapping[str, MrssConfig],
    operations: Mapping[str, int],
    seeds: Iterable[int],
    steps: int | None = None,
    device: str = "cpu",
) -> list[Run]:
    """List every variant's trainings from every seed: for the baseline's steps, and for its operations.

    operations  of one step or forward pass, by variant; a variant with no fewer than the baseline has equal steps only
    steps       of the baseline; the task's own number where left out
    device      of the trainings: on a CPU each takes one thread, on a GPU one at a time takes all of it
    raises      ValueError for a task that is not in TASKS, and for a variant whose operations are not given
    """
    check_task(task)
    if lacking := {BASELINE, *variants} - set(operations):
        raise ValueError(f"operations of {', '.join(sorted(lacking))}: not given")
    steps, runs, seeds = steps or plan_of(task).steps, [], list(seeds)
    for name, config in variants.items():
        more = round(steps * operations[BASELINE] / operations[name])
        budgets = {STEPS: steps} | ({OPERATIONS: more} if more > steps else {})
        of = [(budget, seed) for budget in budgets for seed in seeds]
        runs += [Run(task, name, config, budget, budgets[budget], seed, device) for budget, seed in of]
    return runs


def in_rounds(runs: Iterable[Run], point: float, folder: Path, **options: Any) -> dict[Run, dict[int, Result]]:
    """Train for equal steps first; then with equal operations those whose mean accuracy is more than a point lower.

    runs     of one task, as planned
    point    of accuracy: what a variant may lose to the baseline, as a share
    folder, options   of `sweep`
    returns  results by seed; of the other runs there are none
    """
    runs = list(runs)
    found = by_seed(sweep((run for run in runs if run.budget == STEPS), train_one, folder, **options))
    means = {run.variant: fmean(one.accuracy for one in results.values()) for run, results in found.items()}
    lost = {variant for variant, mean in means.items() if mean < means[BASELINE] - point}
    again = (run for run in runs if run.budget == OPERATIONS and run.variant in lost)
    return found | by_seed(sweep(again, train_one, folder, **options))


def by_seed(results: Mapping[Run, Mapping[str, Any]]) -> dict[Run, dict[int, Result]]:
    """Group what a sweep returned by all but the seed: run of seed 0 -> seed -> result."""
    groups: dict[Run, dict[int, Result]] = {}
    for one, result in results.items():
        groups.setdefault(replace(one, seed=0), {})[one.seed] = Result(**result)
    return groups


def build(config: MrssConfig, task: Task, generator: torch.Generator) -> MambaClassifier:
    """A model of a variant for a task, which brings its vocabulary, inputs and classes."""
    config = replace(config, mamba=replace(config.mamba, vocabulary=task.vocabulary))
    return mrss.model(config, task.inputs, task.classes, pooling=task.pooling, generator=generator)


def train_one(run: Run) -> dict[str, Any]:
    """Train one run on its device, and return its `Result` as plain values.

    Where every batch is new, it ends once 1,024 sequences are all right that are neither learned from nor tested.
    """
    generator = torch.Generator().manual_seed(run.seed)
    task, plan = DATA[run.task](generator), plan_of(run.task)
    model = build(run.config, task, generator).to(run.device)
    judge, start = None, perf_counter()
    if task.endless:
        judge = partial(task.accuracy, model, task.draw(1024, torch.Generator().manual_seed(run.seed + NEW)))

    def losses():
        while True:
            x, answers = task.draw(plan.batch, generator)
            yield task.loss(model(x.to(run.device)), answers.to(run.device)) + ROUTING * mrss.balance(model)

    taken = train(model, losses(), run.steps, rate=plan.rate, judge=judge, enough=1, progress=False)
    result = Result(task.accuracy(model), _means(taken, run.steps // MEANS), len(taken), perf_counter() - start)
    return asdict(result)


def _means(losses: list[float], width: int) -> list[float]:
    """Of every so many losses, to four digits; the rest at the end are left out, unless there is nothing else."""
    width = min(max(1, width), len(losses))
    return [round(sum(losses[i : i + width]) / width, 4) for i in range(0, len(losses) - len(losses) % width, width)]
