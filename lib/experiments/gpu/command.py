"""Measure all experiments of cost on one device, job by job, and leave their records in one archive.

What is finished is kept: call again after an interruption, and only what is missing is measured. A job that takes too
long, fails, or ends for want of memory loses itself alone; cases that it had finished are kept beside the records.
No network is used.
"""

import argparse
import os
import shutil
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from math import inf
from pathlib import Path
from time import monotonic
from typing import Any

from lib.experiments.gpu.jobs import JOBS, LIMIT, TRAINING, Job, chosen, reading
from lib.experiments.gpu.kept import Place, alone
from lib.experiments.gpu.summary import table
from lib.experiments.gpu.turns import LookError, Turns
from lib.experiments.gpu.work import Machine
from lib.paths import PRESETS, ROOT, RUNS, in_repository

PRESET = "gpu"
OUT = ROOT / "workflow/out/one-device"
OFFLINE = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_DATASETS_OFFLINE")
INTERRUPTED = 130  # exit code, as a shell's
TWICE = 3.0  # seconds within which a second signal is the same one


def main(arguments: Sequence[str] | None = None, jobs: Mapping[str, Job] = JOBS) -> int:
    """Run the command line; returns its exit code: 0 where every job is done, 1 where one is not, 130 interrupted.

    jobs   the table
    """
    parser = _parser(jobs)
    given = parser.parse_args(arguments)
    if given.list:
        return _list(jobs)
    try:
        in_repository(PRESETS)
        if given.limit is not None and not 0 < given.limit < inf:
            raise ValueError(f"--limit {given.limit}: a number of seconds above 0 is needed")
        picked = chosen(jobs, given.jobs.split(",") if given.jobs else None, given.trainings)
        picked = [reading(job, given.images) for job in picked] if given.images else picked
        if given.out.resolve().is_relative_to(RUNS.resolve()):
            raise ValueError(f"--out {given.out}: logs and trials do not go there; unpack the archive there afterwards")
        for name in OFFLINE:
            os.environ[name] = "1"
        with alone(given.out):
            return _run(picked, given)
    except BlockingIOError as error:
        return _refuse(str(error))
    except OSError as error:
        return _refuse(f"--out {given.out}: {error.strerror or error}")
    except (ValueError, LookError) as error:
        return _refuse(str(error))


def _run(jobs: list[Job], given: argparse.Namespace) -> int:
    screen = _Screen()
    screen.say(f"looking at the device, importing what {len(jobs)} jobs need ...")
    turns = Turns(given.preset, given.device, given.out, given.limit, screen.say, screen.tick)
    before = {number: signal.signal(number, _interruption()) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        machine = turns.look(jobs)
        screen.say(_about(machine))
        place, code = Place(given.out, machine.name), 0
        try:
            found = turns.all(jobs, machine)
        except KeyboardInterrupt:
            code, found = INTERRUPTED, {job.name: kept for job in jobs if (kept := place.known(job.name))}
        said = table(found, place)
        place.rest.mkdir(parents=True, exist_ok=True)
        (place.rest / "summary.txt").write_text(f"{_about(machine)}\n{said}\n", encoding="utf-8")
        archive = place.pack()
    except KeyboardInterrupt:
        return INTERRUPTED
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    print(f"\n{said}\n\narchive: {archive}")
    if code == INTERRUPTED:
        print("interrupted: the same command goes on from here")
    print(f"to keep the records: tar -xzf {archive} -C {os.path.relpath(RUNS)} {machine.name}")
    return code or int(not all(kept.done for kept in found.values()))


def _about(machine: Machine) -> str:
    """The machine and the code, in a line."""
    code = machine.commit[:7] if machine.commit else "unknown commit, since git finds no repository here"
    changes = " with changes" if machine.dirty and machine.commit else ""
    versions = ", ".join(f"{name} {version}" for name, version in machine.versions.items() if version)
    return f"{machine.title}, {machine.memory / 2**30:.0f} GiB; {versions}; {code}{changes}"


def _interruption() -> Callable[..., None]:
    """What a signal does: it interrupts, once a few seconds, since many a sender signals make and its children, too."""
    last = -TWICE

    def interrupt(*_: Any) -> None:
        nonlocal last
        if monotonic() - last >= TWICE:
            last = monotonic()
            raise KeyboardInterrupt

    return interrupt


def _refuse(why: str) -> int:
    print(why, file=sys.stderr)
    return 1


def _list(jobs: Mapping[str, Job]) -> int:
    print(f"{'job':26}{'estimate on a T4':>18}  module")
    for job in jobs.values():
        print(f"{job.name:26}{job.seconds:>16} s  {job.module}{', with --trainings' if job.trains else ''}")
    return 0


def _parser(jobs: Mapping[str, Job]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m lib.experiments gpu", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    presets = sorted({path.stem for path in PRESETS.glob("*/*.yml")}) or [PRESET]
    parser.add_argument("--out", type=Path, default=OUT, help="folder (default: %(default)s)")
    parser.add_argument("--jobs", metavar="NAME,NAME", help=f"some of {', '.join(jobs)}; default: all but trainings")
    parser.add_argument("--trainings", action="store_true", help="train, too, what a GPU trains in minutes")
    parser.add_argument("--images", type=Path, metavar="FOLDER", help="of CIFAR-10 (default: the hub's, once loaded)")
    parser.add_argument("--list", action="store_true", help="show the jobs and what they should take, and end")
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda", help="cpu rehearses (default: cuda)")
    parser.add_argument("--preset", choices=presets, default=PRESET, help="whose sizes (default: %(default)s)")
    parser.add_argument(
        "--limit", type=float, metavar="SECONDS", help=f"of a job (default: {LIMIT:.0f}, of a training {TRAINING:.0f})"
    )
    return parser


class _Screen:
    """Lines that stay, and on a terminal one that is written over."""

    def __init__(self) -> None:
        self.wide = shutil.get_terminal_size().columns - 1 if sys.stdout.isatty() else 0

    def say(self, line: str) -> None:
        print(f"\r{line:{self.wide}}" if self.wide else line, flush=True)

    def tick(self, line: str) -> None:
        if self.wide:
            print(f"\r{line[: self.wide]:{self.wide}}", end="", flush=True)
