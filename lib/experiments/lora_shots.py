"""Adapters that learn new labels from few images per class, beside zero-shot and a probe on frozen features.

As CLIP-LoRA is compared (Zanella and Ben Ayed, 2024, https://arxiv.org/abs/2405.18541): one set of hyperparameters for
all numbers of images. The learning rate of each kind and rank, and the strength of the probe, are chosen among as many
on images held back, at one number of images; the test images judge once. At the highest number, ranks are compared by
three scales of B A, at the rate of the lowest rank and at rates of their own.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from lib import names
from lib.experiments import base, command
from lib.experiments.lora_shot_runs import BATCH, PROBE, WORDS, ZERO, Training, judged
from lib.experiments.lora_training import HELD_BACK, TESTED, checkpoint
from lib.paths import SWEEPS
from lib.records import Record
from lib.tasks.data import images
from lib.tasks.training.sweep import sweep

NAME = "lora_shots_{task}"
CHAPTER = "lora"
TASKS = tuple(names.SMALL_CLIPS)
TRIED, JUDGED = "tried", "judged"
AT = ("task", "kind", "rank", "alpha", "shots", "steps", "setting", "trainable")
PARTS = {TRIED: AT, JUDGED: (*AT, "own")}
PER_SHOT = 30  # steps for each image of a class
LOWEST, ALPHA = 2, 4.0  # rank and alpha: the scale of B A begins at 2
FIXED, GROWING, ROOT = "alpha / r", "alpha grows with r", "alpha / sqrt(r)"
SCALES = {  # of ranks: the kind, and alpha of a rank; all are one at the lowest
    FIXED: ("lora", lambda rank: ALPHA),
    GROWING: ("lora", lambda rank: ALPHA * rank / LOWEST),
    ROOT: ("rslora", lambda rank: ALPHA / LOWEST**0.5),
}
KINDS = ("lora", "lora_plus", "dora", "pissa")  # at the lowest rank, where rsLoRA is LoRA of another alpha
LABELS = {ZERO: "zero-shot", PROBE: "linear probe", WORDS: "words alone"} | {
    name: names.ADAPTERS[name].label for name in KINDS
}
LORA = LABELS["lora"]


@dataclass(frozen=True)
class Grid:
    """What is tried and judged.

    shots       images per class, in order; rates and strengths are chosen at `chosen_at`
    rates       learning rates that are tried, and `strengths` of the probe: as many
    ranks       above the lowest
    """

    shots: tuple[int, ...] = (1, 2, 4, 8, 16)
    chosen_at: int = 4
    rates: tuple[float, ...] = (3e-4, 1e-3, 3e-3, 1e-2, 3e-2)
    strengths: tuple[float, ...] = (1.0, 10.0, 100.0, 1e3, 1e4)
    ranks: tuple[int, ...] = (8, 32)


WHOLE = Grid()
TRIAL = Grid((1, 2), 1, (1e-3,), (10.0,), (8,))  # where steps are given: does it run?


@dataclass(frozen=True, kw_only=True)
class Settings(base.Settings):
    """Sizes of the trainings on one task.

    task     "scenes" or "cifar10"
    seeds    of each training; they share three checkpoints
    steps    of each; 0 for 30 per image of a class, else the run is a trial
    source   of CIFAR-10: a name of the hub, or a folder
    images   that judge, and as many held back
    """

    task: str = TASKS[0]
    seeds: int = 3
    steps: int = 0
    source: str = images.CIFAR10
    images: int = TESTED


def ranked(rank: int, scale: str) -> str:
    """Label of a rank above the lowest by one of SCALES."""
    return f"rank {rank}, {scale}"


def variants(grid: Grid) -> dict[str, dict[str, Any]]:
    """Label -> options of a training, of all whose setting is chosen."""
    found = {LABELS[PROBE]: {"kind": PROBE}, LABELS[WORDS]: {"kind": WORDS}}
    found |= {LABELS[kind]: {"kind": kind, "rank": LOWEST, "alpha": ALPHA} for kind in KINDS}
    return found | {
        ranked(rank, scale): {"kind": kind, "rank": rank, "alpha": alpha(rank)}
        for rank in grid.ranks
        for scale, (kind, alpha) in SCALES.items()
    }


def run(settings: Settings, folder: Path = SWEEPS) -> Record:
    """Choose settings on images held back, and judge, going on where an interrupted run stopped.

    folder   of results that are finished
    """
    grid = TRIAL if settings.steps else WHOLE
    cases, chosen = base.Cases(PARTS), {}
    tried = {
        (label, setting): _trainings(settings, options, grid.chosen_at, setting, trial=True)
        for label, options in variants(grid).items()
        for setting in (grid.strengths if options["kind"] == PROBE else grid.rates)
    }
    results = sweep((one for group in tried.values() for one in group), judged, folder)
    best: dict[str, float] = {}
    for (label, setting), group in tried.items():
        _add(cases, TRIED, label, {one: results[one] for one in group})
        mean = sum(results[one]["accuracy"] for one in group)
        if mean > best.get(label, -1.0):  # of equal ones the first, which is the lowest
            best[label], chosen[label] = mean, setting
    last = {}
    for label, options in {LABELS[ZERO]: {"kind": ZERO}, **variants(grid)}.items():
        above = options.get("rank", 0) > LOWEST
        for shots in grid.shots[-1:] if above else grid.shots[:1] if options["kind"] == ZERO else grid.shots:
            last[label, shots, True] = _trainings(settings, options, shots, chosen.get(label, 0.0))
        if above:
            last[label, grid.shots[-1], False] = _trainings(settings, options, grid.shots[-1], chosen[LORA])
    results = sweep(dict.fromkeys(one for group in last.values() for one in group), judged, folder)
    for (label, _, own), group in last.items():
        _add(cases, JUDGED, label, {one: results[one] for one in group}, own=own)
    said = {"batch": BATCH, "per_shot": PER_SHOT, "chosen_at": grid.chosen_at, "held_back": settings.images}
    # Not where the images lie here; and each is trained on a core of the CPU.
    where = replace(settings, source=Path(settings.source).name, device="cpu")
    return base.record(NAME.format(task=settings.task), cases, where, **said)


def _trainings(
    settings: Settings, options: Mapping[str, Any], shots: int, setting: float, trial: bool = False
) -> list[Training]:
    """One per seed."""
    learns = options["kind"] not in (ZERO, PROBE)
    steps = (settings.steps or PER_SHOT * shots) if learns else 0
    tested = min(settings.images, HELD_BACK)
    given = {"steps": steps, "setting": setting, "trial": trial, "source": settings.source, "tested": tested}
    return [Training(settings.task, seed, shots=shots, **given, **options) for seed in range(settings.seeds)]


def _add(cases: base.Cases, part: str, label: str, found: Mapping[Training, Mapping[str, Any]], **more: bool) -> None:
    first = next(iter(found))
    at = {name: getattr(first, name) for name in AT if name != "trainable"}
    at |= {"trainable": found[first]["trainable"], "diverged": sum(not one["finite"] for one in found.values())}
    measured = {"accuracies": {one.seed: result["accuracy"] for one, result in found.items()}}
    measured["seconds"] = [result["seconds"] for result in found.values()]
    cases.add(part, label, measured=measured, **at, **more)


def frame(found: Iterable[Record]) -> pd.DataFrame:
    """One row per case of these records, see `lib.experiments.base.frame`."""
    return base.frame(found, PARTS)


def outcomes(found: Iterable[Record], part: str = JUDGED) -> pd.DataFrame:
    """One row per training: machine, task, variant, its settings, seed, accuracy, and the checkpoint it started from.

    part   JUDGED, by test images; or TRIED, by images held back
    """
    rows = base.by_seed(found, PARTS, accuracies="accuracy")
    if rows.empty:
        return rows
    rows = rows[rows["part"] == part].reset_index(drop=True)
    return rows.assign(checkpoint=[checkpoint(seed) for seed in rows["seed"]])


def main() -> None:
    """Run this experiment from the command line, see `lib.experiments.command.main`."""
    command.main(__doc__, CHAPTER, Settings, run, outcomes)


if __name__ == "__main__":
    main()
