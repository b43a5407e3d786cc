"""Trainings of adapters as cases of a record, and as rows of a frame again: writer and reader in one place."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from lib import names
from lib.experiments import base
from lib.experiments.clip_shown import NUMBERS, check_images, sizes_of
from lib.experiments.lora_training import BATCH, STEPS, TESTED, Adapted, Plan, adapted, checkpoint
from lib.experiments.sizes import check_memory
from lib.paths import SWEEPS
from lib.records import Record
from lib.tasks.data import images
from lib.tasks.training.sweep import sweep

TASKS = tuple(names.SMALL_CLIPS)
TRAINING = "training"
SETTINGS = ("way", "place", "rank", "init", "method", "keep", "steps")  # of a variant
COSTS = ("trainable", "total", "optimiser_bytes")
PARTS = {TRAINING: ("goal", "task", "batch", *SETTINGS, *COSTS, "measured")}
MEASURED = ("whole", "reduced", "accuracy", "unreduced")  # shares of right answers, of `Adapted`
BOTTLENECK = "original's bottleneck, rank 8"
WORDS = {"variant": {"seed's bottleneck, rank 8": BOTTLENECK}}

Variants = Mapping[str, Mapping[str, Any]]  # label -> options of its plan; `longer` multiplies the steps


@dataclass(frozen=True, kw_only=True)
class Settings(base.Settings):
    """Sizes of the trainings on one task.

    task      "scenes" or "cifar10"
    seeds     trainings of each variant
    steps     of each; the goal's own where it is 0
    source    of CIFAR-10: a name of the hub, or a folder
    per_step  images of a step
    tested    images that judge
    """

    task: str = TASKS[0]
    seeds: int = 5
    steps: int = 0
    source: str = images.CIFAR10
    per_step: int = BATCH
    tested: int = TESTED


def check(settings: Settings) -> None:
    """Accept settings that can be run here: the images that judge, and what a step of our small models keeps.

    raises   ValueError, naming what decides it, for more memory than is free
    """
    check_memory(settings, 0, "tested", drawn=settings.tested * (NUMBERS // 4 + NUMBERS))
    vision = sizes_of("clip-scenes-0", ours=True).vision_config
    check_images(replace(settings, device="cpu"), vision, vision.num_hidden_layers, "per_step")


def plans(goal: str, variants: Variants, settings: Settings) -> dict[str, list[Plan]]:
    """Variant -> its trainings, one a seed, in the order of the variants."""
    shared = {"source": settings.source, "batch": settings.per_step, "tested": settings.tested}
    found = {}
    for name, options in variants.items():
        given = dict(options)
        steps = (settings.steps or STEPS[goal]) * given.pop("longer", 1)
        found[name] = [Plan(settings.task, seed, goal, steps, **shared, **given) for seed in range(settings.seeds)]
    return found


def run(name: str, goal: str, variants: Variants, settings: Settings, folder: Path = SWEEPS) -> Record:
    """Train every variant with every seed, going on where an interrupted run stopped.

    name     of the record
    folder   of results that are finished
    """
    check(settings)
    planned = plans(goal, variants, settings)
    results = sweep((plan for group in planned.values() for plan in group), adapted, folder)
    found = cases({variant: {plan: results[plan] for plan in group} for variant, group in planned.items()})
    # Not where the images lie here; and each is trained on a core of the CPU, whatever the device of what is timed.
    where = replace(settings, source=Path(settings.source).name, device="cpu")
    return base.record(name, found, where)


def cases(results: Mapping[str, Mapping[Plan, Mapping[str, Any]]]) -> base.Cases:
    """Cases of trainings: to each variant one for every accuracy that was measured, which `measured` names.

    results   variant -> plan -> its outcome, an `Adapted` as plain values
    """
    made = base.Cases(PARTS)
    for variant, by_plan in results.items():
        plan = next(iter(by_plan))
        by_seed = {plan.seed: Adapted(**found) for plan, found in by_plan.items()}
        at = {name: getattr(plan, name) for name in ("goal", "task", "batch", *SETTINGS)}
        at |= {name: getattr(by_seed[plan.seed], name) for name in COSTS}
        for measured in MEASURED:
            held = {"accuracies": {seed: getattr(one, measured) for seed, one in by_seed.items()}}
            if measured == "accuracy":  # time and losses are those of the training, kept once
                held |= {
                    "seconds": [one.seconds for one in by_seed.values()],
                    "losses": {seed: one.losses for seed, one in by_seed.items()},
                }
            made.add(TRAINING, variant, measured=held, parameters={"measured": measured}, **at)
    return made


def frame(found: Iterable[Record]) -> pd.DataFrame:
    """One row per case of these records, see `lib.experiments.base.frame`."""
    return base.frame(found, PARTS, WORDS)


def outcomes(found: Iterable[Record]) -> pd.DataFrame:
    """One row per training: machine, goal, task, variant, its settings and costs, seed, and what was measured.

    `checkpoint` is the number of the model that it started from: seeds that share one are no independent draws of it.
    `gained` is the accuracy minus what it was before; `retained` the accuracy relative to the checkpoint's with all
    tokens, `before` the same before the training, `regained` their difference, `kept` the same after it, with all
    tokens again.
    """
    rows = base.by_seed(found, PARTS, WORDS, accuracies="value")
    if rows.empty:
        return rows
    keys = ["machine", "experiment", "variant", "seed"]
    values = rows.pivot(index=keys, columns="measured", values="value")
    made = rows.drop_duplicates(keys).drop(columns=["measured", "value"]).join(values, on=keys)
    return made.reset_index(drop=True).assign(
        checkpoint=[checkpoint(seed) for seed in made["seed"]],
        share=made["trainable"].to_numpy() / made["total"].to_numpy(),
        gained=(made["accuracy"] - made["reduced"]).to_numpy(),
        retained=(made["accuracy"] / made["whole"]).to_numpy(),
        before=(made["reduced"] / made["whole"]).to_numpy(),
        regained=((made["accuracy"] - made["reduced"]) / made["whole"]).to_numpy(),
        kept=(made["unreduced"] / made["whole"]).to_numpy(),
    )


def last_losses(found: Iterable[Record]) -> pd.DataFrame:
    """Training loss of the last twentieth of the steps, mean over seeds: machine, task, variant, loss [nats]."""
    rows = base.by_seed(found, PARTS, WORDS, losses="losses")
    rows = rows.assign(loss=[losses[-1] for losses in rows["losses"]])
    return rows.groupby(["machine", "task", "variant"], sort=False, as_index=False)["loss"].mean()
