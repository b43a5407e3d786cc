"""Runs of the experiments on CLIP's tokens at smoke size, each made once, and toys that one can check by hand."""

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

import yaml

from lib.experiments import clip_accuracy, clip_cost, clip_training, toys
from lib.names import SMALL_CLIPS
from lib.paths import PRESETS
from lib.records import Record
from lib.tasks.training import clips

CLAIMS = [f"B{number}" for number in (*range(1, 10), 12, 13)]
COSINES = {"as written": 0.3, "mended": 1.0, "both normed, all": 1.0, "both normed, half": 0.2}
TOYS = {
    "patches": toys.patches(),
    "operations_by_part": toys.operations_by_part(),
    "encoder_bytes": toys.encoder_bytes(),
    "prompts_alike": {"start": True, "end": False},
    "original_forms": (COSINES, 0.2),
}


def here(runs, work, _):
    """A sweep in this process, which keeps nothing."""
    return {one: work(one) for one in runs}


@cache
def cost() -> Record:
    """The record of costs, of the preset that takes seconds: every method at its share of the operations."""
    preset = yaml.safe_load((PRESETS / clip_cost.CHAPTER / "smoke.yml").read_text())
    return clip_cost.run(clip_cost.Settings.of(preset, scenes=4))


@cache
def accuracies() -> list[Record]:
    """A record of accuracies per task, of two checkpoints and a few images; scenes stand in CIFAR-10's place."""
    with patch.object(clip_accuracy, "sweep", here), patch.object(clips, "TESTING", 24):
        made = clip_accuracy.run(clip_accuracy.Settings(task="scenes", seeds=2, count=24))
    return [_of_task(made, clip_accuracy.NAME, task) for task in SMALL_CLIPS]


@cache
def trainings() -> list[Record]:
    """A record of trials of two steps per task; scenes stand in CIFAR-10's place."""
    with (
        TemporaryDirectory() as folder,
        patch.multiple(clips, TRAINING=128, TESTING=24, SWEEPS=Path(folder)),
        patch.object(clip_training, "sweep", here),
    ):
        made = clip_training.run(clip_training.Settings(task="scenes", seeds=2, steps=2))
    return [_of_task(made, clip_training.NAME, task) for task in SMALL_CLIPS]


def _of_task(made: Record, name: str, task: str) -> Record:
    cases = [one.model_copy(update={"parameters": one.parameters | {"task": task}}) for one in made.cases]
    return made.model_copy(update={"experiment": name.format(task=task), "cases": cases})
