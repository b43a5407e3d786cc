"""What is run again of the records: parts of costs, and single trainings, by the functions that made them."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import torch

from lib import names
from lib.experiments import (
    base,
    clip_cost,
    distill_cost,
    distill_training,
    lora_cases,
    lora_labels,
    mrss_runs,
    mrss_scan,
    mrss_training,
    peers,
    ssm_scaling,
    ssm_scan,
    ssm_scan_jobs,
)
from lib.experiments.clip_variants import UNREDUCED
from lib.experiments.distill_models import Plan, original
from lib.models.mrss import variants as mrss
from lib.records import Record

TOKENS, WIDTH = 4096, 256  # of the multi-resolution models that are timed again
FACTOR = 8  # of those that are trained again


@dataclass(frozen=True)
class Cost:
    """A record of costs whose ratios are formed again.

    experiment   its module
    again        a run of a part of it, with the settings given
    baseline     whose latency ratios are relative to
    within       columns that a variant and its baseline have in common
    own          columns that tell variants of one name apart
    more         settings beside the recorded ones
    """

    experiment: ModuleType
    again: Callable[[Any], Record]
    baseline: str
    within: tuple[str, ...]
    own: tuple[str, ...] = ()
    more: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Training:
    """A training that is made again from its seed.

    record    where its accuracy stands, in the case of `variant` with the parameters `at`
    work      from the training's task, variant, steps and seed to its accuracy
    threads   recorded is one: more of them round sums in another order
    """

    record: str
    variant: str
    work: Callable[["Again"], float]
    at: Mapping[str, Any]
    seed: int = 0
    threads: int = 1


@dataclass(frozen=True)
class Again:
    """A training in its own process; `steps` and `device` are the recorded ones."""

    record: str
    task: str
    variant: str
    steps: int
    seed: int
    threads: int = 1
    device: str = "cpu"


def costs(wait: bool) -> list[Cost]:
    """Records of costs whose ratios texts quote, the part of each that is run again.

    wait   for peers of the scan that are compiled first
    """
    longest = {"part": (ssm_scaling.LENGTHS,), "length": (1024, 4096, 16384)}
    gate = {"part": (ssm_scaling.GATE,)}
    size = {"dim": (WIDTH,), "length": (TOKENS,)}
    ours = next(iter(names.BACKENDS))
    return [
        Cost(ssm_scan, _scan, ours, ("part", "length"), more={"wait": wait}),
        Cost(ssm_scaling, lambda given: ssm_scaling.run(given, longest), ssm_scaling.ATTENTION, ("part", "length")),
        Cost(ssm_scaling, lambda given: ssm_scaling.run(given, gate), ssm_scaling.OPEN, ("part", "length")),
        Cost(mrss_scan, lambda given: mrss_scan.run(given, size), mrss_scan.BASELINE, ("part", "dim", "length")),
        Cost(distill_cost, _part(distill_cost, distill_cost.time_model), distill_cost.FULL, ("part", "length")),
        Cost(clip_cost, _part(clip_cost, clip_cost.time_small), UNREDUCED, ("part", "task"), ("target",)),
    ]


def _scan(settings: ssm_scan_jobs.Settings) -> Record:
    """The scan and its peers, forward and training, at all threads, freed memory kept, called after themselves."""
    cases, most = base.Cases(ssm_scan.PARTS), torch.get_num_threads()
    everyone = peers.everyone(torch.device(settings.device))
    for part in (ssm_scan_jobs.FORWARD, ssm_scan_jobs.TRAINING):
        kept = settings.device == "cpu"
        found, _ = ssm_scan.alone(settings, ssm_scan_jobs.series, part, most, kept, everyone)
        for where, variant, measured, at in found:
            if at.get("after") == ssm_scan_jobs.ITSELF:
                cases.add(where, variant, measured=measured, **at)
    return base.record(ssm_scan.NAME, cases, settings, threads=most)


def _part(experiment: ModuleType, timed: Callable[[base.Cases, Any], None]) -> Callable[[Any], Record]:
    """A run of one part of an experiment: what fills its cases."""

    def again(settings: Any) -> Record:
        cases = base.Cases(experiment.PARTS)
        timed(cases, settings)
        return base.record(experiment.NAME, cases, settings)

    return again


def ratios(rows: pd.DataFrame, cost: Cost) -> Iterator[tuple[tuple, float, list[float]]]:
    """Variant and where it stands, its median latency relative to the baseline's, round by round, and its seconds."""
    kept = rows[rows["part"].isin(cost.experiment.PARTS)].dropna(subset="seconds")
    for name, value in (("after", ssm_scan_jobs.ITSELF), ("keep_freed", True)):
        if name in kept and kept[name].eq(value).any():
            kept = kept[kept[name] == value]
    if "most" in kept:
        kept = kept[kept["threads"] == kept["most"]]
    for key, group in kept.groupby(list(cost.within), sort=False):
        base_rows = group[group["variant"] == cost.baseline]
        for row in group.itertuples() if len(base_rows) == 1 else ():
            baseline = base_rows["runs"].iloc[0]
            if row.variant != cost.baseline and len(row.runs) == len(baseline):
                where = tuple(getattr(row, name) for name in cost.own)
                yield (row.variant, *key, *where), float(np.median(row.runs / baseline)), row.runs.tolist()


def trainings() -> list[Training]:
    """One seed of a variant of each family of tasks: minutes in all, two at once."""
    low, trained = f"low, r = {FACTOR}", {"part": mrss_training.TRAINED, "budget": mrss_training.STEPS}
    return [
        Training("mrss_digits", mrss_training.BASELINE, _mrss, trained),
        *(Training(f"mrss_{task}", low, _mrss, trained) for task in ("digits", "plugs", "clocks", "motions")),
        Training("mrss_digits", low, _mrss, trained, threads=2),
        Training("mrss_induction", mrss_training.BASELINE, _mrss, trained),
        Training("distillation_digits", distill_training.ORIGINAL, _distill, {"healed": False}),
        Training("lora_labels_scenes", lora_labels.USUAL, _lora, {"measured": "accuracy"}),
    ]


def train(again: Again) -> dict[str, float]:
    """One training, as a plain value; for a process of its own, whose number of threads it sets."""
    torch.set_num_threads(again.threads)
    (work,) = {one.work for one in trainings() if (one.record, one.variant) == (again.record, again.variant)}
    return {"accuracy": work(again)}


def _mrss(again: Again) -> float:
    config = mrss.family(mrss_runs.SIZES, FACTOR)[again.variant]
    wanted = mrss_runs.Run(again.task, again.variant, config, mrss_runs.STEPS, again.steps, again.seed, again.device)
    return mrss_runs.train_one(wanted)["accuracy"]


def _distill(again: Again) -> float:
    model, task = original(Plan(again.task, again.seed, steps=again.steps))
    return task.accuracy(model)


def _lora(again: Again) -> float:
    settings = lora_cases.Settings(task=again.task, seeds=again.seed + 1, steps=again.steps)
    plan = lora_cases.plans(lora_labels.GOAL, {again.variant: lora_labels.VARIANTS[again.variant]}, settings)
    return lora_cases.adapted(plan[again.variant][again.seed])["accuracy"]
