"""What a few learned numbers add to a reduction, the tower staying as it is: a summary token, thresholds per image.

The original report proposes both. They are learned on training images, by the features of the unreduced small CLIPs,
and judged on test images beside the same reductions without them: no token, the mean, one threshold for all, a fixed
number of patches at the same operations. A batch is timed, too, whose images keep numbers of their own.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from pathlib import Path

import pandas as pd
import torch

from lib import names
from lib.experiments import base, command
from lib.experiments.clip_accuracy import FIELDS, answered
from lib.experiments.clip_learned_runs import BY_IMAGE, Plan, again, judged
from lib.experiments.clip_outcomes import Outcome
from lib.experiments.clip_variants import CLASS_ATTENTION, LAST, UNREDUCED
from lib.models.checks import check_choice, check_count
from lib.models.clip import load as clip
from lib.models.clip.cost import patches
from lib.models.clip.reduction import reduce_tokens
from lib.paths import SWEEPS
from lib.profilers.profile import profile
from lib.records import Record
from lib.tasks.data import images
from lib.tasks.training import clips
from lib.tasks.training.sweep import sweep

NAME = "clip_learned_{task}"
CHAPTER = "clip_vtp"
TASKS = tuple(names.SMALL_CLIPS)
JUDGED, TIMED = "judged", "timed"
PARTS = {JUDGED: ("task", "images", "keep", "ratio", "steps"), TIMED: ("task", "batch", "keep", "input_bytes")}
KEEPS = (0.7, 0.5, 0.3)  # shares of patches, two of them the original report's
SHOWN = 0.5  # of KEEPS: at which a batch is timed
TILE = 8  # to which lengths of a bucket are rounded up
FILLED = f"{BY_IMAGE}, filled up"  # to the image of the batch that keeps most


@dataclass(frozen=True, kw_only=True)
class Settings(base.Settings):
    """What is learned and judged.

    task      of TASKS
    seeds     checkpoints of ours
    source    of CIFAR-10: a name of the hub, or a folder
    learned   training images that are learned on
    count     test images, or as many as there are
    steps     of each training, of `per_step` images
    scenes    images at once where time is measured
    """

    task: str = TASKS[0]
    seeds: int = 3
    source: str = images.CIFAR10
    learned: int = 2000
    count: int = 1000
    steps: int = 150
    per_step: int = 64
    scenes: int = 64


def run(settings: Settings, folder: Path = SWEEPS) -> Record:
    """Learn and judge on every checkpoint; what is finished is kept, and resumed after an interruption.

    folder   of results that are finished
    raises   ValueError, quoting it, for another task; FileNotFoundError where a checkpoint or CIFAR-10 is not there
    """
    check_choice("task", settings.task, TASKS)
    check_count("per_step", settings.per_step, 1, settings.learned)
    check_count("steps", settings.steps)
    settings = replace(settings, count=min(settings.count, len(clips.held_out(settings.task, settings.source))))
    shared = {name: getattr(settings, name) for name in ("task", "source", "learned", "count", "steps", "per_step")}
    plans = [Plan(seed=seed, keep=keep, **shared) for keep, seed in product(KEEPS, range(settings.seeds))]
    found = sweep(plans, judged, folder)
    cases = base.Cases(PARTS)
    for keep in KEEPS:
        _add_judged(cases, settings, keep, {plan.seed: one for plan, one in found.items() if plan.keep == keep})
    (shown,) = (one for plan, one in found.items() if (plan.seed, plan.keep) == (0, SHOWN))
    _add_timed(cases, settings, shown["weights"][BY_IMAGE])
    # Not where the images lie here; and each is learned on a core of the CPU, whatever the device of what is timed.
    where = replace(settings, source=Path(settings.source).name)
    return base.record(NAME.format(task=settings.task), cases, where)


def _add_judged(cases: base.Cases, settings: Settings, keep: float, of: dict[int, dict]) -> None:
    """A case per variant, from what was judged of each checkpoint."""
    outcomes = {seed: {row["name"]: Outcome(**row) for row in one["outcomes"]} for seed, one in of.items()}
    for name in next(iter(outcomes.values())):
        if name == UNREDUCED and keep != KEEPS[0]:  # it is the same at all shares
            continue
        by = {seed: rows[name] for seed, rows in outcomes.items()}
        held = {field: {seed: getattr(one, column) for seed, one in by.items()} for field, column in FIELDS.items()}
        held["right"] = {seed: one.right for seed, one in by.items()}
        if losses := {seed: one["losses"][name] for seed, one in of.items() if name in one["losses"]}:
            held["losses"] = losses
        at = {"images": settings.count, "ratio": sum(one.ratio for one in by.values()) / len(by)}
        at["steps"] = settings.steps if losses else 0
        kept = 1.0 if name == UNREDUCED else keep
        cases.add(JUDGED, name, measured=held, task=settings.task, keep=kept, **at)


def _add_timed(cases: base.Cases, settings: Settings, weights: dict[str, list]) -> None:
    """A batch through the first checkpoint: whole, with a fixed number of patches, and with thresholds, in turns."""
    model = clip.load(clips.Plan(settings.task, 0, 1).name, settings.device)
    tower = model.model.vision_model
    data = clips.held_out(settings.task, settings.source).first(settings.scenes)
    pixels = model.pixels(data.images)
    by_image, filled = (again(tower, SHOWN, weights, tile) for tile in (TILE, patches(tower.config) + 1))
    towers = {
        UNREDUCED: tower,
        CLASS_ATTENTION: reduce_tokens(tower, "class_attention", SHOWN, **LAST),
        BY_IMAGE: by_image,
        FILLED: filled,
    }
    at = {"task": settings.task, "batch": len(data), "input_bytes": pixels.nbytes}
    calls = {name: partial(one, pixels) for name, one in towers.items()}
    with torch.inference_mode():
        for name, result in profile(calls, **settings.timing).items():
            cases.add(TIMED, name, result, keep=1.0 if name == UNREDUCED else SHOWN, **at)


def frame(found: Iterable[Record]) -> pd.DataFrame:
    """Rows of judged cases, one a checkpoint, as `lib.experiments.clip_accuracy.frame` has them, and of `times`."""
    found = list(found)
    rows = base.by_seed(found, PARTS, **FIELDS, right="right")
    return pd.concat([answered(rows), times(found)], ignore_index=True) if len(rows) else rows


def times(found: Iterable[Record]) -> pd.DataFrame:
    """One row per timed tower, see `lib.experiments.base.frame`."""
    rows = base.frame(found, PARTS)
    return rows[rows["part"] == TIMED]


def main() -> None:
    """Run this experiment from the command line, see `lib.experiments.command.main`."""
    command.main(__doc__, CHAPTER, Settings, run, lambda found: frame(found).drop(columns="hits"))


if __name__ == "__main__":
    main()
