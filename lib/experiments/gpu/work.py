"""What happens in the process of one job, and in the one that looks at the machine before any job runs."""

import gc
import os
import shlex
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from threading import RLock
from typing import Any

import yaml

from lib.experiments.gpu.jobs import Job
from lib.experiments.gpu.kept import Place
from lib.files import write_whole
from lib.paths import PRESETS
from lib.processes import end_with_parent
from lib.requirements import missing


@dataclass(frozen=True)
class Machine:
    """What the jobs will run on.

    name, title     folder of its records, hardware in words
    commit, dirty   as in a record; None and True without a repository
    memory          bytes of the device
    versions        of Python and of the packages that compute
    settings        job -> those of its run
    """

    name: str
    title: str
    commit: str | None
    dirty: bool
    memory: int
    versions: dict[str, str | None]
    settings: dict[str, dict[str, Any]]


def look(jobs: Iterable[Job], preset: str, device: str) -> Machine:
    """Import all that the jobs need, read their settings, and ask the device for its name.

    raises   RuntimeError, in one line, for what this Python lacks, and without a device; ValueError and TypeError,
             naming it, for a setting that is wrong
    """
    try:
        import torch

        from lib import records
        from lib.provenance import commit, environment

        settings = {job.name: settings_of(job, preset, device) for job in jobs}
    except ModuleNotFoundError as error:
        raise RuntimeError(lacking(error)) from None
    if device == "cuda" and not torch.cuda.is_available():
        build = f"built for CUDA {torch.version.cuda}" if torch.version.cuda else "built without CUDA"
        raise RuntimeError(f"no CUDA device answers; torch {torch.__version__} is {build}")
    here, (head, dirty) = environment(device), commit()
    versions = {"python": here.python, "cuda": here.cuda, "driver": here.driver, **here.packages}
    held = {name: asdict(one) for name, one in settings.items()}
    memory = torch.cuda.get_device_properties(0).total_memory if device == "cuda" else here.memory_bytes
    return Machine(here.machine, records.title(here), head, dirty, memory, versions, held)


def settings_of(job: Job, preset: str, device: str) -> Any:
    """A job's settings: those of a preset, of its chapter or of a folder of its own, and over them the job's."""
    experiment = import_module(job.module)
    folder = PRESETS / (job.presets or experiment.CHAPTER)
    held = yaml.safe_load((folder / f"{preset}.yml").read_text())
    held = {name: tuple(value) if isinstance(value, list) else value for name, value in (held | job.more).items()}
    return experiment.Settings.of(held | {"device": device})


def lacking(error: ModuleNotFoundError) -> str:
    """One line: what this Python lacks, and the command that helps."""
    wanted = shlex.join(missing())
    return f"{sys.executable} lacks {error.name}: {sys.executable} -m pip install {wanted}"


def work(job: Job, preset: str, device: str, place: Place) -> None:
    """Run a job and write its record, whole or not at all; what it prints goes to its log, its cases to a file.

    The process ends with 1 and a last line that says why, where the experiment cannot run.
    """
    _alone_with(place.log(job.name))
    from tqdm import tqdm

    from lib import records
    from lib.experiments import base

    tqdm.set_lock(RLock())  # its own is shared between processes, and whoever is killed leaves it behind

    cases = place.cases(job.name)
    cases.parent.mkdir(parents=True, exist_ok=True)
    with cases.open("w", buffering=1) as file:
        base.Cases.seen = lambda case: file.write(case.model_dump_json() + "\n")
        try:
            settings = settings_of(job, preset, device)
            _make_way(place.record(job.name))
            made = import_module(job.module).run(settings)
            records.write(made, place.out)
        except Exception as error:
            _last_line(error)
            sys.exit(1)
    cases.unlink()
    place.partial(job.name).unlink(missing_ok=True)


def salvage(job: Job, preset: str, device: str, place: Place, why: str) -> None:
    """Write a record of the cases that a job had finished when it was cut off, apart from the whole ones."""
    _alone_with(place.log(job.name))
    from lib.experiments import base
    from lib.records import STOPPED

    path = place.cases(job.name)
    found = list(_whole_cases(path.read_text(errors="replace").splitlines()))
    if found:
        made = base.record(job.name, found, settings_of(job, preset, device), **{STOPPED: why})
        write_whole(place.partial(job.name), made.model_dump_json(indent=1) + "\n")
    path.unlink()


def _whole_cases(lines: Iterable[str]) -> Iterator[Any]:
    """Cases of a file that may break off anywhere."""
    from pydantic import ValidationError

    from lib.records import Case

    for line in lines:
        with suppress(ValidationError):
            yield Case.model_validate_json(line)


def _make_way(path: Path) -> None:
    """Put a record aside that cannot be read, so that it does not stand in the way of the new one."""
    from lib import records

    try:
        if path.exists():
            records.read(path)
    except records.RecordError as error:
        aside = path.with_suffix(".unreadable")
        path.replace(aside)
        print(f"{error}; put aside as {aside.name}", flush=True)


def _last_line(error: Exception) -> None:
    import traceback

    from lib.profilers.failures import describe

    traceback.print_exc()
    print(describe(error), flush=True)


def _alone_with(log: Path) -> None:
    """Give this process its log, and let its parent alone decide when it ends early."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a", buffering=1) as file:
        sys.stdout.flush()
        sys.stderr.flush()
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    os.setpgid(0, 0)  # what it starts ends with it, and an interrupt from the keyboard goes to the parent
    end_with_parent(group=True)  # one that is killed takes its job along: the next call has the device to itself
    gc.collect()
    gc.freeze()  # a profiler collects garbage before each case: it need not go through all that is imported
