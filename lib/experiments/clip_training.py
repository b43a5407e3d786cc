"""Small CLIPs of scenes or of CIFAR-10, trained from nothing: what they reach, and how long it takes.

A training of the task's own number of steps replaces a checkpoint of the project; any other is a trial.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from lib import names
from lib.experiments import base, command
from lib.paths import SWEEPS
from lib.records import Record
from lib.tasks.data import images
from lib.tasks.training import clips
from lib.tasks.training.sweep import sweep

NAME = "clip_training_{task}"
CHAPTER = "clip_vtp"
TASKS = tuple(names.SMALL_CLIPS)
TRAINING = "training"
PARTS = {TRAINING: ("task", "steps", "batch")}
MODEL = "CLIP"


@dataclass(frozen=True, kw_only=True)
class Settings(base.Settings):
    """What is trained.

    task     of TASKS
    seeds    trainings, one checkpoint each
    steps    of 128 images; 0 for the task's own, any other number is a trial
    source   of CIFAR-10: a name of the hub, or a folder
    """

    task: str = "scenes"
    seeds: int = 3
    steps: int = 0
    source: str = images.CIFAR10


def run(settings: Settings) -> Record:
    """Train, several at once; what is finished is kept, and resumed after an interruption.

    raises   ValueError, quoting it, for another task; FileNotFoundError where CIFAR-10 is not there
    """
    clips.check_task(settings.task)
    steps = settings.steps or clips.STEPS[settings.task]
    plans = [clips.Plan(settings.task, seed, steps, settings.source) for seed in range(settings.seeds)]
    found = {plan.seed: one for plan, one in sweep(plans, clips.made, SWEEPS).items()}
    cases = base.Cases(PARTS)
    measured = {
        "seconds": [one["seconds"] for one in found.values()],
        "accuracies": {seed: one["accuracy"] for seed, one in found.items()},
        "losses": {seed: one["losses"] for seed, one in found.items()},
    }
    cases.add(TRAINING, MODEL, measured=measured, task=settings.task, steps=steps, batch=clips.BATCH)
    # Not where the images lie here; and each is trained on a core of the CPU, whatever the device of what is timed.
    where = replace(settings, source=Path(settings.source).name, device="cpu")
    return base.record(NAME.format(task=settings.task), cases, where)


def frame(found: Iterable[Record]) -> pd.DataFrame:
    """One row per task, see `lib.experiments.base.frame`; `runs` holds the seconds of each training."""
    return base.frame(found, PARTS)


def accuracies(found: Iterable[Record]) -> pd.DataFrame:
    """One row per training: machine, task, steps, seed, accuracy on the images held out."""
    return base.by_seed(found, PARTS, accuracies="accuracy")


def main() -> None:
    """Run this experiment from the command line, see `lib.experiments.command.main`."""
    command.main(__doc__, CHAPTER, Settings, run, frame)


if __name__ == "__main__":
    main()
