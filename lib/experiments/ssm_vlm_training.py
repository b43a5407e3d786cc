"""What towers of state space blocks learn in the place of CLIP's, of equal parameters, and with fewer patches.

Small CLIPs of scenes or of CIFAR-10, trained from nothing with every tower: by equal steps, and by the transformer's
time. Vision Mamba is judged with fewer patches, too. What is trained: `lib.experiments.ssm_vlm_runs`.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from pathlib import Path

import pandas as pd
import torch
from transformers import CLIPVisionConfig

from lib import names
from lib.experiments import base, command
from lib.experiments.ssm_vlm_runs import (
    KEEPS,
    RATES,
    TRIED,
    WHOLE,
    Costs,
    Outcome,
    Training,
    cost_all,
    step_profiles,
    train_one,
    ways,
)
from lib.experiments.ssm_vlm_scaling import TRANSFORMER, features
from lib.models.checks import check_choice
from lib.models.ssm_vlm.reduced import ReducedTower
from lib.models.ssm_vlm.tower import VisionTower
from lib.paths import SWEEPS
from lib.profilers.profile import profile
from lib.records import Record
from lib.tasks.data import images
from lib.tasks.training import clips
from lib.tasks.training.protocol import STEPS, TRIAL, budgets, lowest
from lib.tasks.training.protocol import TIME as TIME  # for readers of the record
from lib.tasks.training.sweep import sweep

NAME = "ssm_vlm_training_{task}"
CHAPTER = "ssm_vlm"
TASKS = tuple(names.SMALL_CLIPS)
STEP, TIMED, TRIALS, TRAINED, FEWER = "step", "timed", "tried", "trained", "fewer"
PARTS = {
    STEP: ("task", "batch"),
    TIMED: ("task", "patches", "keep"),
    TRIALS: ("task", "rate", "steps"),
    TRAINED: ("task", "budget", "rate", "steps"),
    FEWER: ("task", "keep", "tuned"),
}
LABELS = {TRANSFORMER: TRANSFORMER} | {name: row.label for name, row in names.TOWERS.items()}
COMPARED = ("vision_mamba", "low_rate")
PART = 4  # of the steps that the small CLIPs have: what a CPU trains in hours
SEEING = "vision_mamba"  # the tower that goes on with fewer patches
SIDES = (8, 32)  # patches a side of the images that towers with fewer patches are timed on
PROTOCOL = (
    f"AdamW, and Muon for wide matrices; rates {', '.join(f'{rate:g}' for rate in RATES)}, a trial of one in {TRIAL} "
    "steps each, chosen by accuracy on images held back; then equal steps, and the transformer's time by measured "
    "training steps on one thread; tested once"
)


@dataclass(frozen=True, kw_only=True)
class Settings(base.Settings):
    """What is trained.

    task        of TASKS
    trainings   of each tower, a seed each
    steps       of 128 images; 0 for a quarter of the small CLIPs' own, any other number is a trial
    source      of CIFAR-10: a name of the hub, or a folder
    learned     training images; as many as the task has where left out
    tested      test images; all where left out
    only        of `lib.names.TOWERS` beside the transformer, with semicolons; those of COMPARED where left out
    """

    task: str = "scenes"
    trainings: int = 3
    steps: int = 0
    source: str = images.CIFAR10
    learned: int | None = None
    tested: int | None = None
    only: str = ""


def run(settings: Settings) -> Record:
    """Choose each tower's rate, train it from every seed with both budgets, and time it; resumes.

    raises   ValueError, quoting it, for another task or tower; FileNotFoundError where CIFAR-10 is not there
    """
    check_choice("task", settings.task, TASKS)
    chosen = [name.strip() for name in settings.only.split(";") if name.strip()] or list(COMPARED)
    for name in chosen:
        check_choice("only", name, names.TOWERS)
    towers = (TRANSFORMER, *chosen)
    steps = settings.steps or clips.STEPS[settings.task] // PART
    learned = settings.learned or 0
    costed = Costs(settings.task, towers, settings.source, learned)
    (seconds,) = sweep([costed], cost_all, SWEEPS, workers=1).values()
    one = Training(settings.task, TRANSFORMER, 0.0, max(1, steps // TRIAL), TRIED, settings.source, learned)
    judged = {"tested": settings.tested or 0, "judged": True}
    trials = sweep((replace(one, tower=tower, rate=rate) for tower, rate in product(towers, RATES)), train_one, SWEEPS)
    planned = []
    for tower in towers:
        tried = {run: result["valid"] for run, result in trials.items() if run.tower == tower}
        best = lowest({run: None if valid is None else -valid for run, valid in tried.items()}, LABELS[tower])
        given = budgets(steps, seconds, tower, TRANSFORMER)
        for (budget, taken), seed in product(given.items(), range(settings.trainings)):
            fewer = tower == SEEING and budget == STEPS
            planned.append((replace(best, steps=taken, seed=seed, fewer=fewer, **judged), budget))
    found = sweep([run for run, _ in planned], train_one, SWEEPS)
    cases = base.Cases(PARTS)
    for tower, result in step_profiles(costed, **settings.timing | {"device": "cpu"}).items():
        cases.add(STEP, LABELS[tower], result, task=settings.task, batch=clips.BATCH)
    add_times(cases, settings)
    for run, result in trials.items():
        add_trial(cases, run, Outcome(**result))
    add_trained(cases, [(run, budget, Outcome(**found[run])) for run, budget in planned])
    # Not where the images lie here; and each is trained on a core of the CPU.
    where = replace(settings, source=Path(settings.source).name, device="cpu")
    return base.record(NAME.format(task=settings.task), cases, where, protocol=PROTOCOL, trained=steps)


def add_times(cases: base.Cases, settings: Settings) -> None:
    """Vision Mamba's forward pass with all patches and with fewer, one image, random weights, in turns."""
    _, patch = clips.SIDES[settings.task]
    small = clips.build(clips.Plan(settings.task, 0, 1), images.rendered(1, settings.generator()))
    given = small.model.config.vision_config.to_dict()
    for count in SIDES:
        config = CLIPVisionConfig(**{**given, "image_size": count * patch})
        tower = VisionTower(config, SEEING, generator=settings.generator()).eval()
        towers = {(WHOLE, 1.0): tower}
        for keep, (label, options) in product(KEEPS, ways(tower)):
            towers[label, keep] = ReducedTower(tower, keep=keep, **options).eval()
        x = torch.randn(1, 3, config.image_size, config.image_size, generator=settings.generator())
        calls = {key: partial(features, one, x) for key, one in towers.items()}
        options = settings.timing | {"device": "cpu"}
        for (label, keep), result in profile(calls, inference=True, **options).items():
            cases.add(TIMED, label, result, task=settings.task, patches=count**2, keep=keep)


def add_trial(cases: base.Cases, run: Training, found: Outcome) -> None:
    """What a rate came to on images held back."""
    at = {"task": run.task, "rate": run.rate, "steps": run.steps}
    if found.valid is None:
        cases.add(TRIALS, LABELS[run.tower], measured={"error": "the loss was not finite"}, **at)
    else:
        cases.add(TRIALS, LABELS[run.tower], measured={"accuracies": {run.seed: found.valid}}, **at)


def add_trained(cases: base.Cases, found: Iterable[tuple[Training, str, Outcome]]) -> None:
    """What each tower came to on the test images, by budget, over all seeds; and Vision Mamba with fewer patches."""
    groups: dict[tuple[str, str], list[tuple[Training, Outcome]]] = {}
    for run, budget, outcome in found:
        groups.setdefault((run.tower, budget), []).append((run, outcome))
    for (tower, budget), held in groups.items():
        run = held[0][0]
        at = {"task": run.task, "budget": budget, "rate": run.rate, "steps": run.steps}
        lost = sum(outcome.accuracy is None for _, outcome in held)
        if lost:
            said = f"the loss was not finite from {lost} of {len(held)} seeds"
            cases.add(TRAINED, LABELS[tower], measured={"error": said}, **at)
            continue
        measured = {
            "accuracies": {run.seed: outcome.accuracy for run, outcome in held},
            "losses": {run.seed: outcome.losses for run, outcome in held},
        }
        cases.add(TRAINED, LABELS[tower], measured=measured, **at)
        if run.fewer:
            for (method, keep, tuned), right in _fewer(held).items():
                at = {"task": run.task, "keep": keep, "tuned": tuned}
                cases.add(FEWER, method, measured={"accuracies": right}, **at)


def _fewer(held: Iterable[tuple[Training, Outcome]]) -> dict[tuple, dict[int, float]]:
    found: dict[tuple, dict[int, float]] = {}
    for run, outcome in held:
        for row in outcome.fewer:
            key = row["method"], row["keep"], row["tuned"]
            found.setdefault(key, {})[run.seed] = row["accuracy"]
    return found


def frame(found: Iterable[Record]) -> pd.DataFrame:
    """One row per case of these records, see `lib.experiments.base.frame`."""
    return base.frame(found, PARTS)


def outcomes(found: Iterable[Record], part: str = TRAINED) -> pd.DataFrame:
    """One row per case of a part and seed: machine, task, variant, the part's parameters, seed, accuracy."""
    rows = base.by_seed(found, PARTS, accuracies="accuracy")
    return rows[rows["part"] == part].dropna(axis="columns", how="all").reset_index(drop=True)


def main() -> None:
    """Run this experiment from the command line, see `lib.experiments.command.main`."""
    command.main(__doc__, CHAPTER, Settings, run, frame)


if __name__ == "__main__":
    main()
