"""The jobs of `python -m lib.experiments gpu`, one a record: a new experiment of cost is a row here.

Nothing is imported but names, so that the table can be shown by a Python that lacks everything else.

Seconds are estimates. Those of a T4, where none was measured: of each call 14 µs of the host per operator, half as much
again since the device sleeps until the host is done, 4 TFLOP/s and 220 GB/s of the device; times the rounds, and three
calls more; 90 µs per operator where operations are counted; and what a CPU does before, as measured. An H200 took 76 s
for scan, 29 for ssm_scaling and 2 for mrss_proxy. It did not end mrss_scan and distillation in 78 s: their seconds are
those of an H200, by that run, with fewer rounds and sizes since. A compared training takes 370 to 480 operators a step,
of which trials, seeds and both budgets are some 45,000; at 1,024 tokens and 32 sequences a step moves 1.3 to 5 GB.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from lib.names import SEQUENCES

LIMIT, TRAINING = 66.0, 600.0  # seconds that a job may take; nine of the first are less than ten minutes


@dataclass(frozen=True)
class Job:
    """An experiment, run once with the settings of a preset.

    name      of its record
    module    of the experiment
    seconds   on a GPU with the preset "gpu", set-up included, estimated
    more      settings beside the preset's
    presets   folder of data/presets, where it is not the one of the experiment's chapter
    trains    whether it trains, which takes minutes
    images    whether it reads CIFAR-10
    """

    name: str
    module: str
    seconds: int
    more: dict[str, Any] = field(default_factory=dict)
    presets: str | None = None
    trains: bool = False
    images: bool = False

    @property
    def limit(self) -> float:
        """Seconds that it may take."""
        return TRAINING if self.trains else LIMIT


def _table(*jobs: Job) -> dict[str, Job]:
    return {job.name: job for job in jobs}


_HERE = "lib.experiments"
_TRAININGS = {name: 300 for name in SEQUENCES}
_COMPARED, _IMAGES = f"{_HERE}.mrss_compared", ("cifar_grey",)
_FAIR = {"mqar": 360, "characters": 350, "tagging": 300, "cifar_grey": 410}  # plans that fit into eight minutes
JOBS = _table(
    Job("scan", f"{_HERE}.ssm_scan", 58, presets="scan"),
    Job("ssm_scaling", f"{_HERE}.ssm_scaling", 40),
    Job("mrss_proxy", f"{_HERE}.mrss_proxy", 10),
    Job("mrss_scan", f"{_HERE}.mrss_scan", 53, {"every": False}),
    # What a bank loses does not depend on the device, and takes a CPU minutes: at one order alone.
    Job("distillation", f"{_HERE}.distill_cost", 55, {"every": False}),
    Job("clip_cost", f"{_HERE}.clip_cost", 40),
    Job("clip_towers", f"{_HERE}.clip_towers", 45),
    Job("lora_cost", f"{_HERE}.lora_cost", 50),
    Job("ssm_vlm_scaling", f"{_HERE}.ssm_vlm_scaling", 55),
    *(
        Job(f"mrss_{task}", f"{_HERE}.mrss_training", seconds, {"task": task}, trains=True)
        for task, seconds in _TRAININGS.items()
    ),
    Job("mrss_gates", f"{_HERE}.mrss_gates", 100, trains=True),
    *(
        Job(f"mrss_compared_{plan}", _COMPARED, seconds, {"task": plan}, trains=True, images=plan in _IMAGES)
        for plan, seconds in _FAIR.items()
    ),
)


def chosen(table: Mapping[str, Job], names: Iterable[str] | None, trainings: bool = False) -> list[Job]:
    """Jobs by name, in the order of the table; without names all of them, trainings where they are asked for.

    raises   ValueError, naming it, for a name that is not in the table
    """
    if names is None:
        return [job for job in table.values() if trainings or not job.trains]
    names = list(names)
    if unknown := [name for name in names if name not in table]:
        raise ValueError(f"--jobs {','.join(names)}: {unknown[0]!r} is none of {', '.join(table)}")
    return [job for job in table.values() if job.name in names]


def reading(job: Job, images: Path) -> Job:
    """A job with the folder of CIFAR-10 that it reads, if it reads any.

    raises   ValueError, quoting it, where there is no such folder
    """
    if not images.is_dir():
        raise ValueError(f"--images {images}: no such folder")
    return replace(job, more=job.more | {"source": str(images.resolve())}) if job.images else job
