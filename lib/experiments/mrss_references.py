"""References of a benchmark beside its multi-resolution models: the most frequent class, 1-NN, regression, a CNN.

A record holds every reference that suits the task, from the plan's seeds. The CNN is trained by the protocol of
`lib.experiments.mrss_fair`: the same rates and decays, a quarter of the plan's steps each, then all steps, tested once.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from math import inf, isfinite
from time import perf_counter
from typing import Any

import pandas as pd
import torch

from lib import names
from lib.experiments import base, command
from lib.experiments.mrss_plans import PLANS, source_of, title
from lib.models.checks import check_choice
from lib.paths import SWEEPS
from lib.records import Record
from lib.tasks.data.sequences import BENCHMARKS, Task
from lib.tasks.references import REFERENCES, suited
from lib.tasks.references.cnn import Setting, chosen, screened, tried
from lib.tasks.training.protocol import TRIAL, TRIED
from lib.tasks.training.sweep import sweep

NAME = "mrss_references_{task}"
CHAPTER = "mrss"
JUDGED, SCREENED = "judged", "screened"
PARTS = {JUDGED: ("task", "chosen", "steps"), SCREENED: ("task", "rate", "decay", "steps")}


def shared(name: str) -> str:
    """The first plan of a plan's benchmark at its size: its references are those of all."""
    plan = PLANS[name]
    return next(one for one, other in PLANS.items() if (other.task, other.options) == (plan.task, plan.options))


TASKS = tuple(dict.fromkeys(shared(name) for name, plan in PLANS.items() if not plan.gpu))
LABELS = {name: title(name) for name in PLANS}
WORDS = {"task": LABELS}
CNN = "cnn"


@dataclass(frozen=True, kw_only=True)
class Settings(base.Settings):
    """What is judged.

    task        a row of PLANS
    trainings   seeds of each reference; the plan's number where left out
    steps       of the CNN; 0 for the plan's number, else the run is a trial
    source      of CIFAR-10: the hub's name or a folder; where left out, the hub's
    only        names of references, with commas; all that suit the task where left out
    """

    task: str
    trainings: int | None = None
    steps: int = 0
    source: str = ""
    only: str = ""


@dataclass(frozen=True)
class Job:
    """One reference from one seed, which decides data and draws; of the CNN also weights.

    steps     of the CNN; 0 for others
    setting   of the CNN: rate and decay
    """

    plan: str
    reference: str
    seed: int
    steps: int = 0
    setting: tuple[float, ...] = ()
    source: str = ""
    device: str = "cpu"

    @property
    def task(self) -> str:
        """Name of the task, for whoever waits."""
        return PLANS[self.plan].task


def run(settings: Settings) -> Record:
    """Judge every reference that suits the task from every seed; resumes after an interruption.

    raises   ValueError for a task or a reference that there is not
    """
    check_choice("task", settings.task, tuple(PLANS))
    plan = PLANS[settings.task]
    at = {"device": settings.device, **source_of(plan, settings.source)}
    possible = suited(task_of(Job(settings.task, CNN, 0, **at))[0])
    wanted = [name.strip() for name in settings.only.split(",") if name.strip()] or possible
    for name in wanted:
        check_choice("only", name, possible)
    steps, seeds = settings.steps or plan.steps, range(settings.trainings or plan.seeds)
    workers = None if settings.device == "cpu" else 1
    cases, more, setting = base.Cases(PARTS), {"steps": 0}, ()
    if CNN in wanted:
        setting = chosen(_screen(cases, Job(settings.task, CNN, TRIED, max(1, steps // TRIAL), **at), workers))
    jobs = [
        Job(settings.task, name, seed, **(at | ({"steps": steps, "setting": setting} if name == CNN else more)))
        for name in wanted
        for seed in seeds
    ]
    found = sweep(jobs, judge, SWEEPS, workers=workers)
    for name in wanted:
        _add_judged(cases, name, {job.seed: found[job] for job in jobs if job.reference == name}, settings.task, steps)
    said = {"source": "CIFAR-10" if "source" in at else "", "batch": plan.batch, **plan.options}
    return base.record(NAME.format(task=settings.task), cases, settings, **said)


def task_of(job: Job) -> tuple[Task, torch.Generator]:
    """The task of a job, and the generator that it was made by, for what is drawn next."""
    plan, generator = PLANS[job.plan], torch.Generator().manual_seed(job.seed)
    given = {"source": job.source} if job.source else {}
    return BENCHMARKS[job.task](generator, **given, **plan.options), generator


def judge(job: Job) -> dict[str, Any]:
    """One reference from one seed, as plain values: those of a `Judged`, and seconds."""
    (task, generator), start = task_of(job), perf_counter()
    options = {}
    if job.reference == CNN:
        options = {"steps": job.steps, "batch": PLANS[job.plan].batch, "setting": job.setting, "device": job.device}
    found = REFERENCES[job.reference](task, generator, **options)
    return {**asdict(found), "seconds": perf_counter() - start}


def trial(job: Job) -> dict[str, Any]:
    """A trial of the CNN: loss on held-back sequences, None where it was not finite in training, and seconds."""
    (task, _), start = task_of(job), perf_counter()
    loss = tried(task, *job.setting, steps=job.steps, batch=PLANS[job.plan].batch, device=job.device)
    return {"loss": loss if isfinite(loss) else None, "seconds": perf_counter() - start}


def _screen(cases: base.Cases, job: Job, workers: int | None) -> dict[Setting, float]:
    """Try rates and decays of the CNN, and add what each came to."""

    def losses(settings: list[Setting]) -> dict[Setting, float]:
        found = sweep([replace(job, setting=one) for one in settings], trial, SWEEPS, workers=workers)
        for of, one in found.items():
            held = {"seconds": [one["seconds"]], "valid_losses": {TRIED: [one["loss"]]}}
            held = {"error": "the loss was not finite"} if one["loss"] is None else held
            rate, decay = of.setting
            at = {"task": of.plan, "rate": rate, "decay": decay, "steps": of.steps}
            cases.add(SCREENED, names.REFERENCES[CNN].label, measured=held, **at)
        return {of.setting: inf if one["loss"] is None else one["loss"] for of, one in found.items()}

    return screened(losses)


def _add_judged(cases: base.Cases, name: str, found: Mapping[int, Mapping], task: str, steps: int) -> None:
    held = {
        "accuracies": {seed: one["accuracy"] for seed, one in found.items()},
        "seconds": [one["seconds"] for one in found.values()],
    }
    if all(one["loss"] is not None for one in found.values()):
        held["test_losses"] = {seed: one["loss"] for seed, one in found.items()}
    chosen = "; ".join(dict.fromkeys(one["chosen"] for one in found.values()))
    at = {"task": task, "chosen": chosen, "steps": steps if name == CNN else 0}
    cases.add(JUDGED, names.REFERENCES[name].label, measured=held, **at)


def frame(found: Iterable[Record]) -> pd.DataFrame:
    """One row per case of these records, see `lib.experiments.base.frame`."""
    return base.frame(found, PARTS, WORDS)


def outcomes(found: Iterable[Record]) -> pd.DataFrame:
    """One row per reference and seed: machine, task, variant, chosen, seed, accuracy, loss [nats], NaN without one."""
    rows = base.by_seed(found, PARTS, WORDS, accuracies="accuracy", test_losses="loss")
    return rows[rows["part"] == JUDGED].drop(columns=["rate", "decay"], errors="ignore")


def main() -> None:
    """Run this experiment from the command line, see `lib.experiments.command.main`."""
    command.main(__doc__, CHAPTER, Settings, run, frame)


if __name__ == "__main__":
    main()
