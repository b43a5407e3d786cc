"""Many small trainings, each on one thread, several at once; what is finished is kept."""

import inspect
import json
import multiprocessing
import os
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar

import torch
from tqdm.auto import tqdm

from lib.paths import LIB, SOURCES

Run = TypeVar("Run")
Json = dict[str, Any] | list[dict[str, Any]]


def sweep(
    runs: Iterable[Run],
    work: Callable[[Run], Json],
    folder: Path,
    *,
    workers: int | None = None,
    progress: bool = True,
) -> dict[Run, Json]:
    """Do all runs, `workers` at once (one per core), and return their results in the order given.

    runs     frozen dataclasses of plain values, with a `task`, and with `steps`: those of most steps start first
    work     a function of a module, from a run to what JSON can hold
    folder   a result is written there as soon as it is known, and not computed again while run and code are the same:
             call again after an interruption
    raises   what the work raises
    """
    runs = list(runs)
    files = {run: folder / f"{_digest(run, work)}.json" for run in runs}
    waiting = [run for run in runs if not files[run].exists()]
    workers = min(workers or len(os.sched_getaffinity(0)), max(1, len(waiting)))
    # Longest first: at the end no core waits for another.
    waiting.sort(key=lambda run: run.steps, reverse=True)
    context = multiprocessing.get_context("spawn")
    folder.mkdir(parents=True, exist_ok=True)
    with (
        tqdm(total=len(runs), initial=len(runs) - len(waiting), desc="trainings", disable=not progress) as bar,
        ProcessPoolExecutor(workers, mp_context=context, initializer=torch.set_num_threads, initargs=(1,)) as pool,
    ):
        futures = {pool.submit(work, run): run for run in waiting}
        try:
            for future in as_completed(futures):
                run = futures[future]
                _write(files[run], future.result())
                bar.set_postfix_str(run.task, refresh=False)
                bar.update()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return {run: json.loads(files[run].read_text()) for run in runs}


def _digest(run: object, work: Callable) -> str:
    """Of a run, of what is done with it and of the code that it depends on, the file of the work itself included."""
    file = Path(
        inspect.getsourcefile(work)
    )  # a module that is run by python -m is called __main__, its file is the same
    content = sha256(json.dumps([file.stem, work.__qualname__, asdict(run)], sort_keys=True).encode())
    content.update(file.read_bytes())
    for layer in ("kernels", "models", "tasks", "experiments"):
        for path in sorted(path for path in (LIB / layer).rglob("*") if path.suffix in SOURCES):
            content.update(path.read_bytes())
    content.update(torch.__version__.encode())
    return content.hexdigest()[:24]


def _write(path: Path, result: Json) -> None:
    part = path.with_suffix(f".{os.getpid()}.part")  # another machine may be at the same
    part.write_text(json.dumps(result))
    part.replace(path)
