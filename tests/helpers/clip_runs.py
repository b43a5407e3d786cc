"""Runs of the experiments on CLIP's tokens at smoke size, each made once, and toys that one can check by hand."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

import torch
import yaml

from lib import records
from lib.experiments import clip_accuracy, clip_cost, clip_training, toys
from lib.experiments.clip_outcomes import Outcome, packed
from lib.experiments.clip_variants import UNREDUCED
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


def here(runs, work, _, workers=None):
    """A sweep in this process, which keeps nothing."""
    return {one: work(one) for one in runs}


@cache
def cost() -> Record:
    """The record of costs, of the preset that takes seconds; the model of scenes stands in CIFAR-10's place."""
    preset = yaml.safe_load((PRESETS / clip_cost.CHAPTER / "smoke.yml").read_text())
    with patch.object(clip_cost, "SMALL_CLIPS", ("scenes",)):
        made = clip_cost.run(clip_cost.Settings.of(preset, scenes=4))
    other = {"task": "cifar10", "checkpoint": "clip-cifar10-0"}
    small = [one for one in made.cases if one.parameters["part"] == clip_cost.SMALL]
    more = [one.model_copy(update={"parameters": one.parameters | other}) for one in small]
    return made.model_copy(update={"cases": [*made.cases, *more]})


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


def real(
    right: Mapping[tuple[str, float], int], cosines: Mapping[tuple[str, float], float], images: int = 400
) -> Record:
    """A made-up record of the real CLIP on CIFAR-10; the unreduced model answers three quarters of the images rightly.

    right     variant and share of patches -> how many of the first images it answers rightly; as many as the unreduced
              model where only a cosine is given
    cosines   the same -> of its features; one where left out
    """
    whole = 3 * images // 4
    found = [_outcome(UNREDUCED, 1.0, whole, 1.0, images)]
    for name, keep in dict.fromkeys([*right, *cosines]):
        count, cosine = right.get((name, keep), whole), cosines.get((name, keep), 1.0)
        found.append(_outcome(name, keep, count, cosine, images))
    task = clip_accuracy.record_task("cifar10", clip_accuracy.REAL)
    cases = clip_accuracy.cases({0: found}, task="cifar10", images=images)
    return records.new(clip_accuracy.NAME.format(task=task), cases, seed=0, parameters={})


def _outcome(name: str, keep: float, count: int, cosine: float, images: int) -> Outcome:
    answers = torch.arange(images) < count
    share = count / images
    return Outcome(name, keep, None, keep, share, share, cosine, packed(answers))
