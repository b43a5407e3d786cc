"""The selective scan against its peers on this machine: `make bench`, or `make bench RECORD=1` to keep the result.

Then a whole training step of a language model against transformers', see `lib.experiments.ssm_step`.

Protocol: inputs lie in memory as a Mamba block lays them out, (B, T, D), and come as transposed views. Each peer is
held to the definition first, gradients included, and its output again at the shape that is timed; one that is wrong,
fails, or is not there is a row that says so. Peers take turns; each is called twice a turn, the first call after
another peer finds cold caches and is kept apart. On a CPU each series has a process of its own. The process keeps the
memory that is freed, as in all other records: large temporary tensors cost no page faults, which favours the peers. A
series more leaves the allocator as it is.
"""

import argparse
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context

import pandas as pd
import torch

from lib import records
from lib.experiments import base, peers, ssm_scan_shown, ssm_step
from lib.experiments.sizes import MOST
from lib.experiments.ssm_scan_jobs import (
    ABSENT,
    EVERYTHING,
    FLOOR,
    FORWARD,
    MEMORY,
    SERIES,
    SHORT,
    SIZES,
    TRAINING,
    Found,
    Settings,
    absent,
    floor,
    prepare,
    series,
)
from lib.kernels.scan import cpp
from lib.models.ssm.scan import explain_backend
from lib.names import PEERS
from lib.processes import end_with_parent
from lib.records import Record

NAME = "scan"
CHAPTER = "ssm_background"
PARTS = {
    **{part: (*SIZES, *SERIES) for part in (FORWARD, TRAINING, SHORT)},
    MEMORY: SIZES,
    FLOOR: (*SIZES, "threads"),
    ssm_step.STEP: (*ssm_step.SIZES, "precision"),
    ABSENT: ("of",),  # a part, or EVERYTHING: why a peer is not in it
}


def run(settings: Settings) -> Record:
    """Hold every peer to the definition, measure its memory, time all in every series, and the exponentials alone."""
    most, cases, missing = torch.get_num_threads(), base.Cases(PARTS), set()
    names = peers.everyone(torch.device(settings.device))

    def keep(found: Found) -> None:
        for part, variant, measured, at in found:
            gone = (variant, at.get("of"))
            if gone not in missing:  # each series finds anew what is absent
                cases.add(part, variant, measured=measured, **at)
            if part == ABSENT:
                missing.add(gone)

    for name in names:
        found, died = alone(settings, prepare, name)
        keep([absent(name, EVERYTHING, died)] if died else found)
    ready = [name for name in names if (name, EVERYTHING) not in missing]
    for part, threads, kept in _series(settings, most):
        found, died = alone(settings, series, part, threads, kept, ready)
        keep([absent(name, part, died) for name in ready] if died else found)
    found, died = alone(settings, ssm_step.step, PEERS["mamba_ssm"].label in ready)
    keep([absent(ssm_step.OURS, ssm_step.STEP, died)] if died else found)
    if settings.device == "cpu" and cpp.unavailable(torch.device("cpu"), torch.float32) is None:
        keep(alone(settings, floor)[0])  # compiled as the scan is
    torch.set_num_threads(most)
    return base.record(NAME, cases, settings, threads=most, peers=peers.versions())


def frame(found: Iterable[Record]) -> pd.DataFrame:
    """One row per case of these records, see `lib.experiments.base.frame`, with the threads that torch took as `most`.

    `dtype` is the inputs' float type, and `kept` whether a record has series in which freed memory stayed with the
    process: on a GPU torch's allocator keeps it, and there is one manner only.
    """
    return pd.concat([_framed(one) for one in found])


def _framed(one: Record) -> pd.DataFrame:
    rows = base.frame([one], PARTS).assign(most=one.parameters["threads"], dtype=one.parameters["dtype"])
    return rows.assign(kept=rows["keep_freed"].eq(True).any())


def _series(settings: Settings, most: int) -> Iterator[tuple[str, int, bool]]:
    """Part, threads, and whether freed memory is kept; the short training, which takes longest, is timed once."""
    kept = settings.device == "cpu"
    pairs = sorted({(1, True), (most, True), (most, False)}) if kept else [(most, False)]
    for threads, keep in pairs:
        yield FORWARD, threads, keep
        yield TRAINING, threads, keep
    if settings.tokens < settings.sizes[1]:
        yield SHORT, most, kept


def alone(settings: Settings, job: Callable[..., Found], *given) -> tuple[Found, str | None]:
    """What a job found; or, where its process ended without an answer, nothing and a line that says so."""
    if not settings.isolated:
        return job(settings, *given), None
    # A process of its own: what one job leaves of its heap and threads would be another's start.
    with ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=end_with_parent) as fresh:
        try:
            return fresh.submit(job, settings, *given).result(), None
        except BrokenProcessPool:
            return [], "its process was ended by the system, or by a fault in its code"


def main(arguments: list[str] | None = None) -> None:
    """Run this experiment from the command line: print the table of peers, and keep the record with `--record`."""
    about = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    about.add_argument("--record", action="store_true", help="write data/runs/<machine>/scan.json")
    about.add_argument("--quick", action="store_true", help="without the peers that must be compiled first")
    about.add_argument("--rounds", type=int, default=9, help="timed turns (default: 9)")
    about.add_argument("--seed", type=int, default=42, help="of the inputs (default: 42)")
    about.add_argument("--device", default="cpu", choices=["cpu", "cuda"], help="default: cpu")
    chosen = about.parse_args(arguments)
    if not 2 <= chosen.rounds <= MOST["runs"]:
        about.error(f"--rounds {chosen.rounds}: a number from 2 to {MOST['runs']} is needed")
    try:
        wanted = Settings(seed=chosen.seed, device=chosen.device, runs=chosen.rounds, wait=not chosen.quick)
        if chosen.record:
            records.ready(NAME, device=chosen.device)
    except (OSError, ValueError) as error:
        sys.exit(str(error))
    print(explain_backend(chosen.device))
    if not chosen.quick:
        print("\nPeers are compiled first, minutes in all; --quick leaves those out.", flush=True)
    made = run(wanted)
    ssm_scan_shown.show(frame([made]))
    if chosen.record:
        try:
            print(f"\nwritten: {records.write(made)}")
        except (OSError, ValueError) as error:
            sys.exit(str(error))


if __name__ == "__main__":
    main()
