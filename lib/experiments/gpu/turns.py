"""One job after another, each in a process of its own: a crash, or an end for want of memory, loses one job.

The processes are forks of one that has imported what all jobs need, and has never touched the device.
"""

import multiprocessing
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from pathlib import Path
from time import perf_counter
from typing import Any

from lib.experiments.gpu.jobs import JOBS, Job
from lib.experiments.gpu.kept import DONE, Kept, Place, stamp
from lib.experiments.gpu.work import Machine, look, salvage, work
from lib.processes import end_with_parent

GRACE = 5.0  # seconds between asking a process to end and ending it
AGAIN = 0.2  # seconds between two looks at a process
LOOKING = 300.0  # seconds for all imports, from a slow disk
SALVAGING = 60.0  # seconds for writing what a job leaves

Say = Callable[[str], None]


class LookError(RuntimeError):
    """One line: why no job can run here."""


@dataclass(frozen=True)
class Turns:
    """How jobs are run.

    preset, device   of their settings
    out              folder of what they leave
    limit            seconds that a job may take; its own where left out
    say              shows a line that stays
    tick             shows a line that the next one replaces
    """

    preset: str
    device: str
    out: Path
    limit: float | None = None
    say: Say = print
    tick: Say = field(default=lambda line: None)

    def look(self, jobs: list[Job]) -> Machine:
        """What the jobs will run on.

        raises   LookError, one line: what this Python lacks, which setting is wrong, or that there is no device
        """
        context = _context(*jobs)
        mine, theirs = context.Pipe(duplex=False)
        process = context.Process(target=_look, args=(theirs, jobs, self.preset, self.device))
        try:
            process.start()
            theirs.close()
            if not mine.poll(LOOKING):
                _end(process)
                raise LookError(f"nothing came of importing what the jobs need in {LOOKING:.0f} s")
            found = mine.recv()
        except (EOFError, ConnectionError) as error:
            raise LookError(f"Python ended while it imported what the jobs need: {error!r}") from None
        process.join()
        if isinstance(found, str):
            raise LookError(found)
        return found

    def all(self, jobs: list[Job], machine: Machine) -> dict[str, Kept]:
        """Run the jobs that are not finished, in turn; returns what is known of every one.

        raises   KeyboardInterrupt, when what the job at work had finished is written down
        """
        place, found = Place(self.out, machine.name), {}
        for number, job in enumerate(jobs, 1):
            head = f"{number}/{len(jobs)} {job.name:14}"
            mark = stamp(machine.settings[job.name], [machine.versions, machine.commit])
            kept = place.finished(job.name, mark)
            if kept:
                self.say(f"{head} finished earlier, {kept.seconds:.0f} s")
            else:
                if broken := place.broken(job.name):
                    self.say(f"{broken}: not readable; {job.name} is measured anew")
                kept = self._one(job, place, mark, head)
                self.say(f"{head} {kept.state}, {kept.seconds:.0f} s")
            found[job.name] = kept
        return found

    def _one(self, job: Job, place: Place, mark: str, head: str) -> Kept:
        place.log(job.name).unlink(missing_ok=True)
        start, state, limit = perf_counter(), None, self.limit or job.limit
        process = _context(job).Process(target=work, args=(job, self.preset, self.device, place))
        process.start()
        try:
            while process.is_alive() and state is None:
                process.join(AGAIN)
                passed = perf_counter() - start
                self.tick(f"{head} {passed:.0f} s, {_count(place.cases(job.name))} cases")
                if passed > limit and process.is_alive():
                    state = f"stopped after {limit:.0f} s"
                    _end(process)
        except KeyboardInterrupt:
            _end(process)
            self._finish(job, place, Kept(mark, "interrupted", perf_counter() - start))
            raise
        kept = Kept(mark, state or _state(process, place.log(job.name)), perf_counter() - start)
        return self._finish(job, place, kept)

    def _finish(self, job: Job, place: Place, kept: Kept) -> Kept:
        """Write down how a job ended, and make a record of the cases that it leaves."""
        place.keep(job.name, kept)
        if place.cases(job.name).exists():
            process = _context(job).Process(target=salvage, args=(job, self.preset, self.device, place, kept.state))
            process.start()
            process.join(SALVAGING)
            _end(process)
        return kept


def _context(*jobs: Job) -> Any:
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    real = any(job.module == known.module for job in jobs for known in JOBS.values())
    context.set_forkserver_preload(["lib.experiments.gpu.preload" if real else "lib.experiments.base"])
    return context


def _look(pipe: Any, jobs: list[Job], preset: str, device: str) -> None:
    """Send a Machine, or one line that says why there is none."""
    end_with_parent()
    try:
        pipe.send(look(jobs, preset, device))
    except Exception as error:
        first = (str(error).strip().splitlines() or [""])[0]
        pipe.send(first if isinstance(error, RuntimeError) else f"{type(error).__name__}: {first}")


def _state(process: BaseProcess, log: Path) -> str:
    """How a process ended, in words."""
    if process.exitcode == 0:
        return DONE
    if process.exitcode is not None and process.exitcode < 0:
        number = -process.exitcode
        why = "; the machine may be out of memory" if number == signal.SIGKILL else ""
        return f"ended by signal {signal.Signals(number).name}{why}"
    lines = log.read_text(errors="replace").strip().splitlines() if log.exists() else []
    return f"failed: {lines[-1] if lines else f'exit code {process.exitcode}'}"


def _end(process: BaseProcess) -> None:
    """End a process and all that it started, at once."""
    for how in (signal.SIGTERM, signal.SIGKILL):
        if not process.is_alive():
            return
        try:
            os.killpg(process.pid, how)
        except ProcessLookupError:  # it has no group of its own yet
            os.kill(process.pid, how)
        process.join(GRACE)


def _count(cases: Path) -> int:
    """Cases that a job has finished."""
    try:
        return cases.read_text().count("\n")
    except OSError:
        return 0
