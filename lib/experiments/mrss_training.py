"""What multi-resolution models learn on one sequence task: cost of their passes, accuracies and losses from every seed.

The baseline and four forms with the same number of parameters train for equal steps; those that lose more than a point
of accuracy on average train again with equal operations, by more steps of a cheaper model.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product

import pandas as pd

from lib.experiments import base, command
from lib.experiments.mrss_runs import BASELINE as BASELINE
from lib.experiments.mrss_runs import LABELS as LABELS
from lib.experiments.mrss_runs import MEANS, SIZES, build, check_task, in_rounds, plan_of, planned
from lib.experiments.mrss_runs import OPERATIONS as OPERATIONS
from lib.experiments.mrss_runs import STEPS as STEPS
from lib.experiments.mrss_runs import TASKS as TASKS
from lib.models.mrss import variants as mrss
from lib.models.ssm import mixers
from lib.paths import SWEEPS
from lib.profilers.passes import passes
from lib.records import Record
from lib.tasks.data.sequences import TASKS as DATA

NAME = "mrss_{task}"
CHAPTER = "mrss"
FORWARD, TRAINING, TRAINED = "forward", "training", "trained"
COST = ("task", "kind")
WORDS = {"task": LABELS}
PARTS = {FORWARD: COST, TRAINING: COST, TRAINED: (*COST, "budget", "steps")}
SMOOTH = "smooth"  # a kind of task
POINT = 0.01  # of accuracy, as a share: who loses less counts as equal, since the spread over seeds is wider than that


@dataclass(frozen=True, kw_only=True)
class Settings(base.Settings):
    """What is trained.

    task    one of TASKS
    r       downsampling factor
    seeds   trainings of each kind
    steps   of the baseline; 0 for the task's own, else the run is a trial
    """

    task: str
    r: int = 8
    seeds: int = 5
    steps: int = 0


def run(settings: Settings) -> Record:
    """Time all variants on a batch of the task, then train them from every seed; resumes after an interruption.

    raises   ValueError for a task that is not in TASKS, and for a factor at which no width gives
             the same number of parameters
    """
    cases, generator = base.Cases(PARTS), settings.generator()
    check_task(settings.task)
    variants = mrss.family(SIZES, settings.r)
    task = DATA[settings.task](generator)
    x, _ = task.draw(plan_of(settings.task).batch, generator)
    models = {name: mrss.spend(build(config, task, generator)).to(settings.device) for name, config in variants.items()}
    costs = passes(models, x.to(settings.device), uncounted=mixers.uncounted, **settings.timing)
    at = dict(task=settings.task, kind=task.kind)
    for part, name in product(costs, variants):
        cases.add(part, name, costs[part][name], **at)
    operations = {name: cost.flops for name, cost in costs[FORWARD].items()}
    runs = planned(settings.task, variants, operations, range(settings.seeds), settings.steps or None, settings.device)
    at_once = None if settings.device == "cpu" else 1
    for one, results in in_rounds(runs, POINT, SWEEPS, workers=at_once).items():
        measured = dict(
            seconds=[result.seconds for result in results.values()],
            accuracies={seed: result.accuracy for seed, result in results.items()},
            losses={seed: result.losses for seed, result in results.items()},
        )
        cases.add(TRAINED, one.variant, measured=measured, budget=one.budget, steps=one.steps, **at)
    return base.record(NAME.format(task=settings.task), cases, settings)


def frame(found: Iterable[Record]) -> pd.DataFrame:
    """One row per case of these records, see `lib.experiments.base.frame`."""
    return base.frame(found, PARTS, WORDS)


def accuracies(found: Iterable[Record]) -> pd.DataFrame:
    """One row per training: machine, task, kind, variant, budget, steps, seed, accuracy."""
    return base.by_seed(found, PARTS, WORDS, accuracies="accuracy")


def losses(found: Iterable[Record]) -> pd.DataFrame:
    """One row per training and twentieth of its steps: as `accuracies`, with step and loss [nats]."""
    rows = base.by_seed(found, PARTS, WORDS, losses="losses").explode("losses", ignore_index=True)
    number = rows.groupby(["task", "variant", "budget", "seed", "machine"], sort=False).cumcount() + 1
    width = (rows["steps"] // MEANS).clip(lower=1)
    return rows.assign(step=number * width, loss=rows["losses"].astype(float)).drop(columns="losses")


def main() -> None:
    """Run this experiment from the command line, see `lib.experiments.command.main`."""
    command.main(__doc__, CHAPTER, Settings, run, frame)


if __name__ == "__main__":
    main()
