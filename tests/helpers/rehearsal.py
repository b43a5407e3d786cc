"""Recorded machines for a rehearsal: the committed one with some records replaced, and others made up beside it.

No number of these is a measurement: they show that what is written can be read, on one machine, on two, on ten.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from lib import records
from lib.paths import DATA
from lib.records import Record
from lib.report.evidence import Evidence

REFERENCE = "amd-epyc-2-cores"
COMMITTED = DATA / "runs" / REFERENCE
COST = ("scan", "ssm_scaling", "mrss_proxy", "mrss_scan", "distillation", "clip_cost", "lora_cost", "ssm_vlm_scaling")
FAIR = (  # begin like that
    *("mrss_compared_", "mrss_references_", "mrss_gates"),
    *("distill_compared_", "distill_states_", "clip_saliency", "clip_learned_", "clip_towers"),
    "ssm_vlm_training_",
)


def evidence(
    folder: Path,
    *made: Record,
    toys: Mapping[str, Any] | None = None,
    machine: str | None = None,
    without: Iterable[str] = (),
) -> Evidence:
    """The committed machine's evidence, in which these records stand in place of those of the same experiment.

    folder    where it is laid out; may be there already
    toys      name -> value
    machine   name of the machine, of the committed one where left out
    without   names of records that are left out
    """
    machine = machine or REFERENCE
    place = _copy(folder, machine)
    for name in without:
        (place / f"{name}.json").unlink()
    for one in made:
        gpu = None if machine == REFERENCE else _title(machine)
        environment = one.environment.model_copy(update={"machine": machine, "gpu": gpu})
        (place / f"{one.experiment}.json").unlink(missing_ok=True)
        records.write(one.model_copy(update={"environment": environment}), folder)
    return Evidence(toys or {}, runs=folder, machine=machine)


def alone(folder: Path, *made: Record, **more: Any) -> Evidence:
    """The same, but of the families of FAIR there are these records alone, whatever is committed."""
    given = {one.experiment for one in made}
    there = {path.stem for path in COMMITTED.glob("*.json") if path.stem.startswith(FAIR)}
    return evidence(folder, *made, without=sorted(there - given), **more)


def machines(
    folder: Path,
    full: Iterable[str] = ("tesla-t4",),
    cost_only: Iterable[str] = ("nvidia-a100",),
    count: int | None = None,
) -> Path:
    """Lay out the committed machine and others, which are copies of it by other names.

    full        names of machines that have all records
    cost_only   names of machines that have the records of COST alone
    count       machines in all: as many more with all records as are lacking
    returns     the folder, for `Evidence(runs=...)` or RECORDS_FROM
    """
    whole, part = [REFERENCE, *full], list(cost_only)
    whole += [f"made-up-{number}" for number in range(1, 1 + (count or 0) - len(whole) - len(part))]
    for name in whole:
        _copy(folder, name)
    for name in part:
        _copy(folder, name, COST)
    return folder


def _copy(folder: Path, machine: str, only: Iterable[str] | None = None) -> Path:
    """The committed machine's records by another name: links to files for its own, changed copies for others."""
    place = folder / machine
    place.mkdir(parents=True, exist_ok=True)
    for source in COMMITTED.glob("*.json"):
        target = place / source.name
        if target.exists() or (only is not None and source.stem not in (*only, "machine")):
            continue
        if machine == REFERENCE:
            target.symlink_to(source)
            continue
        held = json.loads(source.read_text())
        if source.stem == "machine":
            held["title"] = _title(machine)
        else:
            held["environment"] |= {"machine": machine, "gpu": _title(machine)}
        target.write_text(json.dumps(held))
    return place


def _title(machine: str) -> str:
    return machine.replace("-", " ").title()
