"""What a token reduction costs a trained CLIP in accuracy, at an equal share of the operations.

All variants of `lib.experiments.clip_variants` on the same test images: on every checkpoint of a task, for the record
`clip_accuracy_<task>`; or on one model, of the hub or of a folder, for `clip_accuracy_<task>_<model>`.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lib import names
from lib.experiments import base, clip_variants, command
from lib.experiments.clip_outcomes import Outcome, outcomes
from lib.experiments.clip_shown import NUMBERS, check_model, side_of
from lib.experiments.clip_variants import AS_CODED, OLD, ORIGINAL, UNREDUCED
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
OURS = "auto"  # the model: checkpoints that were trained here for the task
REAL = "openai/clip-vit-base-patch16"  # that the original report's claims are about


@dataclass(frozen=True, kw_only=True)
class Settings(base.Settings):
    """What is judged.

    task     of TASKS: the images, and how their classes are put into words
    model    OURS, for the checkpoints of `lib.experiments.clip_training`; or a name of the hub, or a folder
    seeds    checkpoints of ours; another model is one
    source   of CIFAR-10: a name of the hub, or a folder
    count    test images, or as many as there are
    device   of another model's passes; ours are judged on a core of the CPU each, whatever is said here
    """

    task: str = "scenes"
    model: str = OURS
    seeds: int = 3
    source: str = images.CIFAR10
    count: int = 1000

    @property
    def record_task(self) -> str:
        """What stands for the task in the record's name."""
        return record_task(self.task, self.model)


def record_task(task: str, model: str = OURS) -> str:
    """What stands for the task in a record's name: the task itself, and another model's name without its owner.

    model   as in Settings: of "openai/clip-vit-base-patch16" there follows "_clip_vit_base_patch16"
    """
    return task if model == OURS else f"{task}_{re.sub(r'[^a-z0-9]+', '_', Path(model).name.lower()).strip('_')}"


@dataclass(frozen=True)
class Check:
    """Variants on one model; fields as in Settings, with the checkpoint's seed.

    model     OURS for the checkpoint of this seed
    variant   the only one that is judged, beside the unreduced model; all where it is empty
    steps     none are taken; a sweep sorts by it
    """

    task: str
    seed: int
    source: str = images.CIFAR10
    count: int = 1000
    steps: int = 0
    model: str = OURS
    variant: str = ""
    device: str = "cpu"

    @property
    def name(self) -> str:
        """Name of the model, by which it is loaded."""
        return f"clip-{self.task}-{self.seed}" if self.model == OURS else self.model

    @property
    def reads(self) -> list[Path]:
        """Files that decide what comes out, besides the code; of a model of the hub none are known before."""
        return clip.files(self.name)


def check(settings: Settings) -> None:
    """Accept settings that can be run here: the model, the images, and what the model sees of them.

    raises   ValueError, naming what decides it, for a model that cannot be loaded, and for more memory than is free
    """
    seen = NUMBERS
    if settings.model != OURS:
        check_model(settings.model)
        seen = 3 * side_of(settings.model) ** 2
    check_memory(settings, 0, "count", drawn=settings.count * (NUMBERS // 4 + seen))


def run(settings: Settings) -> Record:
    """Judge every variant on every model; what is finished is kept, and resumed after an interruption.

    raises   ValueError, quoting it, for another task; FileNotFoundError where the model or CIFAR-10 is not there
    """
    check(settings)
    count = min(settings.count, len(clips.held_out(settings.task, settings.source)))
    device = "cpu" if settings.model == OURS else settings.device
    # One after another on a GPU: what they keep there does not fit beside each other.
    found = sweep(planned(settings), checked, SWEEPS, workers=None if device == "cpu" else 1)
    results: dict[int, dict[tuple, Outcome]] = {}
    for one, rows in found.items():
        for row in rows:
            outcome = Outcome(**row)  # the unreduced model's is there once, whatever else was judged beside it
            results.setdefault(one.seed, {})[outcome.name, outcome.keep, outcome.target] = outcome
    made = cases({seed: held.values() for seed, held in results.items()}, task=settings.task, images=count)
    # Not where the images or the model lie here.
    model = Path(settings.model).name if Path(settings.model).is_dir() else settings.model
    seeds = settings.seeds if settings.model == OURS else 1
    where = replace(settings, source=Path(settings.source).name, model=model, device=device, seeds=seeds)
    return base.record(NAME.format(task=settings.record_task), made, where)


def planned(settings: Settings) -> list[Check]:
    """What is judged apart, so that it can be resumed: checkpoints of ours, or the variants of another model."""
    at = {"task": settings.task, "source": settings.source, "count": settings.count}
    if settings.model == OURS:
        return [Check(seed=seed, **at) for seed in range(settings.seeds)]
    names = [ORIGINAL, *(one.name for one in clip_variants.variants()), AS_CODED]
    return [Check(seed=0, model=settings.model, variant=name, device=settings.device, **at) for name in names]


def checked(check: Check) -> list[dict[str, Any]]:
    """All outcomes of a check, as plain values."""
    data = clips.held_out(check.task, check.source).first(check.count)
    model = clip.load(check.name, check.device)
    tower, chosen = model.model.vision_model, None
    if check.variant:
        forms = check.variant == AS_CODED
        every = clip_variants.as_coded(tower) if forms else clip_variants.settings(tower)
        chosen = (one for one in every if forms or one[0] == check.variant)
    return [vars(one) for one in outcomes(model, data, chosen)]


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
    return answered(base.by_seed(found, PARTS, WORDS, **FIELDS, right="right"))


def answered(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of cases and checkpoints with `retained` and `hits`, as in `frame`, in place of packed answers."""
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
