"""Latency: wall-clock seconds of callables, timed in turns so that a drifting machine hits all alike."""

import statistics
import time
import warnings
from collections.abc import Callable, Hashable, Mapping
from contextlib import nullcontext
from typing import TypeVar

import torch
from tqdm.auto import tqdm

from lib.profilers.allocator import freed_memory_kept

Name = TypeVar("Name", bound=Hashable)  # of a callable: a text, or several values that tell it from the others
WIDE = 0.25  # a spread above this share of the median is worth a warning


def latency(
    callables: Mapping[Name, Callable[[], object]],
    *,
    runs: int = 10,
    warmup: int = 3,
    device: str | torch.device = "cpu",
    inference: bool = True,
    keep_freed: bool = True,
    progress: bool = True,
) -> dict[Name, list[float]]:
    """Time every callable once per round, in rounds A B C, A B C, ...

    runs       timed rounds, at least 1
    warmup     rounds before them that are not timed
    device     the one the callables compute on; it is synchronised before and after each call
    inference  run under `torch.inference_mode`; False for training steps
    keep_freed  freed memory stays with the process, so that a timing holds computation and not page faults
    returns    raw seconds per name, in the order measured
    raises     ValueError for runs < 1 or warmup < 0, naming the value
    warns      when the interquartile range exceeds a quarter of the median
    """
    if runs < 1:
        raise ValueError(f"runs = {runs}: at least 1 is needed")
    if warmup < 0:
        raise ValueError(f"warmup = {warmup}: at least 0 is needed")

    seconds: dict[Name, list[float]] = {name: [] for name in callables}
    rounds = (warmup + runs) * len(callables)
    with (
        freed_memory_kept() if keep_freed else nullcontext(),
        torch.inference_mode(inference),
        tqdm(total=rounds, desc="latency", unit="call", leave=False, disable=not progress or not callables) as bar,
    ):
        for number in range(warmup + runs):
            for name, call in callables.items():
                taken = _once(call, torch.device(device))
                if number >= warmup:
                    seconds[name].append(taken)
                bar.update()
    for name, values in seconds.items():
        if spread(values) > WIDE:
            warnings.warn(
                f"{name}: the interquartile range is {spread(values):.0%} of the median over {runs} runs; "
                "close other programs or raise `runs`",
                stacklevel=2,
            )
    return seconds


def spread(seconds: list[float]) -> float:
    """Interquartile range relative to the median; 0 for fewer than two values."""
    if len(seconds) < 2:
        return 0.0
    low, median, high = statistics.quantiles(seconds, n=4, method="inclusive")
    return (high - low) / median


def _once(call: Callable[[], object], device: torch.device) -> float:
    _synchronise(device)
    start = time.perf_counter()
    result = call()
    _synchronise(device)
    taken = time.perf_counter() - start
    del result  # freed outside the timed span, before the next call
    return taken


def _synchronise(device: torch.device) -> None:
    if device.type != "cpu":
        torch.accelerator.synchronize(device)
