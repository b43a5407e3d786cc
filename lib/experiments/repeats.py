"""What is recorded of this machine, run again in part: how far a second run differs from the first.

Costs: latency ratios of cases that texts quote, by the functions and settings that the records are of. Trainings: one
seed each, with its accuracy. First and second value stand side by side, with the commit of the first. Other records are
read, and none is changed. What a record that is lacking here would be compared with is left out.
"""

import re
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from lib import records
from lib.experiments import base, command
from lib.experiments.repeated import Again, Cost, Training, costs, ratios, train, trainings
from lib.paths import RUNS
from lib.provenance import environment
from lib.records import Record
from lib.tasks.training.sweep import sweep

NAME = "repeats"
CHAPTER = "claims"
COST, TRAINING = "cost", "training"
COLUMNS = ("of", "setting", "first", "second", "commit", "recorded")
PARTS = {COST: COLUMNS, TRAINING: COLUMNS}


@dataclass(frozen=True, kw_only=True)
class Settings(base.Settings):
    """What is run again; the sizes are those of the records.

    wait   for peers of the scan that are compiled first, minutes in all; else those are left out
    """

    wait: bool = True


def run(settings: Settings) -> Record:
    """Run again what is recorded here: costs first, then trainings.

    On a CPU those are two at once, one thread each but where it says so; on a GPU one after another.

    raises   ValueError where nothing of it is recorded of this machine
    """
    cases = base.Cases(PARTS)
    for cost in costs(settings.wait):
        if first := _recorded(cost.experiment.NAME, settings):
            _add_costs(cases, cost, first)
    _add_trainings(cases, settings)
    if not cases:
        raise ValueError(f"{environment(settings.device).machine}: nothing that is run again is recorded of it")
    return base.record(NAME, cases, settings)


def _add_costs(cases: base.Cases, cost: Cost, first: Record) -> None:
    print(f"{cost.experiment.NAME}: run again in part", flush=True)
    second = cost.again(settings_of(cost.experiment.Settings, first, **cost.more))
    known = {key: ratio for key, ratio, _ in ratios(cost.experiment.frame([first]), cost)}
    for key, ratio, seconds in ratios(cost.experiment.frame([second]), cost):
        if key in known:
            at = ", ".join(f"{name} {value}" for name, value in zip(cost.within + cost.own, key[1:], strict=True))
            setting = f"{at}, relative to {cost.baseline}"
            _add(cases, COST, key[0], {"seconds": seconds}, setting, known[key], ratio, first)


def _add_trainings(cases: base.Cases, settings: Settings) -> None:
    planned, on_cpu = {}, settings.device == "cpu"
    for one in (one for one in trainings() if on_cpu or one.threads == 1):  # a GPU's sums know no threads
        first = _recorded(one.record, settings)
        found = [case for case in first.cases if _is(case, one)] if first else []
        for case in found[:1]:
            at = case.parameters
            steps, how = int(at["steps"]), {"threads": one.threads, "device": settings.device}
            again = Again(one.record, str(at["task"]), one.variant, steps, one.seed, **how)
            planned[again] = one, first, case.accuracies[one.seed]
    with tempfile.TemporaryDirectory() as fresh:  # nothing that was trained before is taken
        results = sweep(planned, train, Path(fresh), workers=None if on_cpu else 1)
    for again, result in results.items():
        one, first, before = planned[again]
        measured = {"accuracies": {one.seed: result["accuracy"]}}
        on = "" if one.threads == 1 else f", the second on {one.threads} threads"
        setting = f"{again.task}, seed {one.seed}, {again.steps} steps{on}"
        _add(cases, TRAINING, one.variant, measured, setting, before, result["accuracy"], first)


def _is(case: records.Case, one: Training) -> bool:
    held = {name: case.parameters.get(name) for name in one.at}
    return case.variant == one.variant and held == dict(one.at) and one.seed in case.accuracies


def _add(cases: base.Cases, part: str, variant: str, measured: dict, setting: str, *values: Any) -> None:
    first, second, record = values
    at = dict(of=record.experiment, setting=setting, first=first, second=second)
    at |= dict(commit=record.commit, recorded=f"{record.recorded_at:%Y-%m-%d}")
    cases.add(part, variant, measured=measured, parameters=at)


def _recorded(name: str, settings: Settings) -> Record | None:
    path = RUNS / environment(settings.device).machine / f"{name}.json"
    return records.read(path) if path.exists() else None


def settings_of(kind: type[base.Settings], first: Record, **more: Any) -> base.Settings:
    """The settings that a record is of; several numbers are words in a record."""
    held = {
        name: tuple(map(int, value.split(", "))) if re.fullmatch(r"\d+(, \d+)+", str(value)) else value
        for name, value in first.parameters.items()
    }
    return kind.of({**held, "seed": first.seed}, **more)


def frame(found: Iterable[Record]) -> pd.DataFrame:
    """One row per value that was found again: see `lib.experiments.base.frame`.

    `difference` is that of costs relative to the first, and that of accuracies as a share.
    """
    rows = base.frame(found, PARTS)
    plain = rows["second"] - rows["first"]
    return rows.assign(difference=plain.where(rows["part"] == TRAINING, plain / rows["first"]))


def main() -> None:
    """Run this experiment from the command line, see `lib.experiments.command.main`."""
    command.main(__doc__, CHAPTER, Settings, run, frame)


if __name__ == "__main__":
    main()
