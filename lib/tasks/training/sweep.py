"""Many small trainings, each on one thread, several at once; what is finished is kept."""

import inspect
import json
import multiprocessing
import os
import warnings
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar

import torch
from tqdm.auto import tqdm

from lib.files import write_whole
from lib.files.reading import UnreadableError, read_json
from lib.files.saving import save_elsewhere, try_folder
from lib.paths import LIB, SOURCES
from lib.processes import end_with_parent

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

    runs     frozen dataclasses of plain values, with a `task`, and with `steps`: those of most steps start first; what
             begins with a checkpoint has `reads`, the files that a result depends on besides
    work     a function of a module, from a run to what JSON can hold
    folder   a result is written there as soon as it is known, and not computed again while run, code and what it reads
             are the same: call again after an interruption. A file there that cannot be read counts as not there, and a
             warning names it
    raises   what the work raises; OSError, naming the folder, before anything is computed, where it cannot be written
    """
    runs = list(runs)
    files = {run: folder / f"{_digest(run, work)}.json" for run in runs}
    results = {run: result for run in files if (result := _read(files[run])) is not None}
    waiting = [run for run in files if run not in results]
    if waiting:
        try_folder(folder)
    workers = min(workers or len(os.sched_getaffinity(0)), max(1, len(waiting)))
    # Longest first: at the end no core waits for another.
    waiting.sort(key=lambda run: run.steps, reverse=True)
    context = multiprocessing.get_context("spawn")
    with (
        tqdm(total=len(files), initial=len(results), desc="trainings", disable=not progress) as bar,
        ProcessPoolExecutor(workers, mp_context=context, initializer=_begin) as pool,
    ):
        futures = {pool.submit(work, run): run for run in waiting}
        try:
            for future in as_completed(futures):
                run = futures[future]
                results[run] = _write(files[run], future.result())
                bar.set_postfix_str(run.task, refresh=False)
                bar.update()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return {run: results[run] for run in runs}


def _begin() -> None:
    """What each process does first. One that is killed takes those along that it started."""
    end_with_parent()
    torch.set_num_threads(1)


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
    for path in getattr(run, "reads", ()):
        content.update(path.read_bytes())
    content.update(torch.__version__.encode())
    return content.hexdigest()[:24]


def _read(path: Path) -> Json | None:
    """What an earlier call kept; None, and a warning that names the file, where it is broken."""
    try:
        held = read_json(path)
        result = held["result"]
        if held["sha256"] != _sum(result) or not isinstance(result, dict | list):
            raise UnreadableError(f"{path}: not what was written there")
    except FileNotFoundError:
        return None
    except (UnreadableError, LookupError, TypeError) as error:
        said = str(error) if isinstance(error, UnreadableError) else f"{path}: no result of a sweep"
        warnings.warn(f"{said}; computed anew", stacklevel=3)
        return None
    return result


def _write(path: Path, result: Json) -> Json:
    """Keep a result, and return it as it would be read; a warning says where it is, if not in its file."""
    read = json.loads(json.dumps(result))
    text = json.dumps({"result": read, "sha256": _sum(read)})
    try:
        write_whole(path, text)
    except OSError as error:
        warnings.warn(f"{path}: {error.strerror or error}; {save_elsewhere(path.name, text)}", stacklevel=3)
    return read


def _sum(result: Json) -> str:
    return sha256(json.dumps(result, sort_keys=True).encode()).hexdigest()
