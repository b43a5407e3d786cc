"""Latency: seconds of callables, timed in turns so that a drifting machine hits all alike."""

import math
import statistics
import warnings
from collections.abc import Callable, Hashable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from numbers import Integral
from typing import TypeVar

import torch
from tqdm.auto import tqdm

from lib.profilers.allocator import freed_memory_kept
from lib.profilers.calls import Settings
from lib.profilers.clocks import Clock, clocks
from lib.profilers.failures import attempt

Name = TypeVar("Name", bound=Hashable)  # of a callable: a text, or several values that tell it from the others
WIDE = 0.25  # a spread above this share of the median is worth a warning


@dataclass(frozen=True)
class Timing:
    """Raw seconds of one callable, one per round; or why there are none.

    seconds       by `clock`, one of `lib.profilers.clocks`: on a CPU the host's, on a GPU the device's own
    host_seconds  until the call returned to the host; none on a CPU, and none of a call that waits for the device
    error         what it raised, as one line
    """

    seconds: list[float] = field(default_factory=list)
    host_seconds: list[float] = field(default_factory=list)
    clock: str | None = None
    error: str | None = None


def latency(callables: Mapping[Name, Callable[[], object]], **options) -> dict[Name, list[float]]:
    """Time every callable once per round, in rounds A B C, A B C, ...

    options  of `timings`
    returns  raw seconds per name, in the order measured
    """
    return {name: timing.seconds for name, timing in timings(callables, **options).items()}


def timings(
    callables: Mapping[Name, Callable[[], object]],
    *,
    runs: int = 10,
    warmup: int = 3,
    device: str | torch.device = "cpu",
    inference: bool = True,
    keep_freed: bool = True,
    progress: bool = True,
    failing: bool = False,
) -> dict[Name, Timing]:
    """Time every callable once per round, in rounds A B C, A B C, ...; the record says by which clock.

    runs       timed rounds, at least 1
    warmup     rounds before them that are not timed
    device     the one the callables compute on; on CUDA its own time is taken, see `lib.profilers.clocks`
    inference  run under `torch.inference_mode`; False for training steps
    keep_freed  freed memory stays with the process, so that a timing holds computation and not page faults
    failing    a callable that raises has an error in place of seconds and the others go on; else its error is raised
    raises     ValueError for runs < 1 or warmup < 0, naming the value; TypeError for no mapping of callables
    warns      when the interquartile range of the seconds exceeds a quarter of the median; never of the host's beside
    """
    check_rounds(runs, warmup)
    device, callables = torch.device(device), named(callables)
    watches: dict[Name, Clock] = dict(zip(callables, clocks(device, len(callables)), strict=True))
    taken: dict[Name, list[tuple[float, float | None]]] = {name: [] for name in callables}
    errors: dict[Name, str] = {}
    rounds = (warmup + runs) * len(callables)
    with (
        freed_memory_kept() if keep_freed else nullcontext(),
        torch.inference_mode(inference),
        tqdm(total=rounds, desc="latency", unit="call", leave=False, disable=not progress or not callables) as bar,
    ):
        settings = Settings()
        for number in range(warmup + runs):
            for name, call in callables.items():
                bar.update()
                if name in errors:
                    continue
                once = partial(watches[name].time, call)
                try:
                    sample, error = attempt(once, device) if failing else (once(), None)
                finally:
                    settings.restore()
                if error is not None:
                    errors[name] = error
                elif number >= warmup:
                    taken[name].append(sample)
    results = {}
    for name, samples in taken.items():
        results[name] = Timing(error=errors[name]) if name in errors else _timing(samples, watches[name].name)
        if (wide := spread(results[name].seconds)) > WIDE:
            warnings.warn(
                f"{name}: the interquartile range is {wide:.0%} of the median over {runs} runs; "
                "close other programs or raise `runs`",
                stacklevel=2,
            )
    return results


def named(callables: Mapping[Name, Callable[[], object]]) -> dict[Name, Callable[[], object]]:
    """A copy of callables by their names: what a call does to the original changes nothing.

    raises   TypeError, naming it, for what is no mapping, and for a value that cannot be called
    """
    if not isinstance(callables, Mapping):
        raise TypeError(f"callables = {callables!r:.80}: a mapping from names to callables is needed")
    for name, call in callables.items():
        if not callable(call):
            raise TypeError(f"{name}: {call!r:.80} cannot be called")
    return dict(callables)


def check_rounds(runs: int, warmup: int) -> None:
    """Accept numbers of rounds.

    raises   ValueError, naming the value, for runs < 1, warmup < 0 and what is no whole number
    """
    for name, value, least in (("runs", runs, 1), ("warmup", warmup, 0)):
        if not isinstance(value, Integral) or isinstance(value, bool) or value < least:
            raise ValueError(f"{name} = {value}: at least {least} is needed, a whole number")


def spread(seconds: list[float]) -> float:
    """Interquartile range relative to the median; 0 for fewer than two values, and where all are equal."""
    if len(seconds) < 2:
        return 0.0
    low, median, high = statistics.quantiles(seconds, n=4, method="inclusive")
    if low == high:
        return 0.0
    return (high - low) / median if median else math.inf


def _timing(samples: list[tuple[float, float | None]], clock: str) -> Timing:
    host = [returned for _, returned in samples if returned is not None]
    # Of a call that came to wait on the way, what the host took before says nothing of the other rounds.
    return Timing([taken for taken, _ in samples], host if len(host) == len(samples) else [], clock)
