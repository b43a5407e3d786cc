"""What a token reduction costs a trained CLIP in accuracy, at an equal share of the operations.

All variants of `lib.experiments.clip_variants` on every checkpoint of a task, on the same test images.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lib import names
from lib.experiments import base, command
from lib.experiments.clip_outcomes import Outcome, outcomes
from lib.experiments.clip_shown import NUMBERS
from lib.experiments.clip_variants import OLD, UNREDUCED
from lib.experiments.sizes import check_memory
from lib.models.clip import load as clip
from lib.paths import SWEEPS
from lib.records import Record
from lib.tasks.data import images
from lib.tasks.training import clips
from lib.tasks.training.sweep import sweep

NAME = "clip_accuracy_{task}"
CHAPTER = "clip_vtp"
TASKS = tuple(names.SMALL_CLIPS)
ACCURACY = "accuracy"
PARTS = {ACCURACY: ("task", "images", "keep", "target", "ratio")}
WORDS = {"variant": OLD}
FIELDS = {"accuracies": "accuracy", "agreements": "agreement", "cosines": "cosine"}


@dataclass(frozen=True, kw_only=True)
class Settings(base.Settings):
    """What is judged.

    task     of TASKS
    seeds    checkpoints, those of `lib.experiments.clip_training`
    source   of CIFAR-10: a name of the hub, or a folder
    count    test images, or as many as there are
    """

    task: str = "scenes"
    seeds: int = 3
    source: str = images.CIFAR10
    count: int = 1000


@dataclass(frozen=True)
class Check:
    """All variants on one checkpoint; fields as in Settings, with the checkpoint's seed.

    steps   none are taken; a sweep sorts by it
    """

    task: str
    seed: int
    source: str = images.CIFAR10
    count: int = 1000
    steps: int = 0

    @property
    def model(self) -> str:
        """Name of the checkpoint."""
        return f"clip-{self.task}-{self.seed}"

    @property
    def reads(self) -> list[Path]:
        """Files that decide what comes out, besides the code."""
        return clip.files(self.model)


def check(settings: Settings) -> None:
    """Accept settings that can be run here: the images, and what the model sees of them.

    raises   ValueError, naming what decides it, for more memory than is free
    """
    check_memory(settings, 0, "count", drawn=settings.count * (NUMBERS // 4 + NUMBERS))


def run(settings: Settings) -> Record:
    """Judge every variant on every checkpoint of a task; what is finished is kept, and resumed after an interruption.

    raises   ValueError, quoting it, for another task; FileNotFoundError where CIFAR-10 is not there
    """
    check(settings)
    planned = [Check(settings.task, seed, settings.source, settings.count) for seed in range(settings.seeds)]
    count = min(settings.count, len(clips.held_out(settings.task, settings.source)))
    found = {check.seed: [Outcome(**one) for one in rows] for check, rows in sweep(planned, checked, SWEEPS).items()}
    # Not where the images lie here; and each is judged on a core of the CPU, whatever the device of what is timed.
    where = replace(settings, source=Path(settings.source).name, device="cpu")
    return base.record(NAME.format(task=settings.task), cases(found, task=settings.task, images=count), where)


def checked(check: Check) -> list[dict[str, Any]]:
    """All outcomes of a checkpoint, as plain values."""
    data = clips.held_out(check.task, check.source).first(check.count)
    return [vars(one) for one in outcomes(clip.load(check.model), data)]


def cases(results: Mapping[int, Iterable[Outcome]], **at) -> base.Cases:
    """One case per variant and setting, from the outcomes of each checkpoint's seed."""
    groups: dict[tuple, dict[int, Outcome]] = {}
    for seed, found in results.items():
        for one in found:
            groups.setdefault((one.name, one.keep, one.target), {})[seed] = one
    made = base.Cases(PARTS)
    for (name, keep, target), by in groups.items():
        measured = {field: {seed: getattr(one, column) for seed, one in by.items()} for field, column in FIELDS.items()}
        measured["right"] = {seed: one.right for seed, one in by.items()}
        ratio = float(np.mean([one.ratio for one in by.values()]))
        made.add(ACCURACY, name, measured=measured, keep=keep, target=target, ratio=ratio, **at)
    return made


def frame(found: Iterable[Record]) -> pd.DataFrame:
    """One row per case and checkpoint: machine, task, variant, keep, target, ratio, seed, and what came out.

    `retained` is the accuracy relative to the unreduced model's of the same seed; `hits` says which answers are right.
    """
    rows = base.by_seed(found, PARTS, WORDS, **FIELDS, right="right")
    at = ["machine", "task", "seed"]
    whole = rows[rows["variant"] == UNREDUCED].set_index(at)["accuracy"]
    hits = [unpacked(right, count) for right, count in zip(rows["right"], rows["images"], strict=True)]
    retained = rows["accuracy"] / whole.loc[pd.MultiIndex.from_frame(rows[at])].to_numpy()
    return rows.drop(columns="right").assign(retained=retained, hits=hits)


def unpacked(right: str, count: int) -> np.ndarray:
    """Which answers of so many are right, from one bit each, hexadecimal, the first answer first."""
    return np.array([bit == "1" for bit in f"{int(right, 16):0{count}b}"])


def main() -> None:
    """Run this experiment from the command line, see `lib.experiments.command.main`."""
    command.main(__doc__, CHAPTER, Settings, run, frame)


if __name__ == "__main__":
    main()
