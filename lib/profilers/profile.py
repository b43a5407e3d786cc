"""Latency, memory and FLOPs of several callables together. A case that fails is a result, not a crash."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

import torch

from lib.profilers.failures import attempt
from lib.profilers.flops import flops
from lib.profilers.latency import Name, check_rounds, named, timings
from lib.profilers.memory import available_bytes, peak_bytes


@dataclass(frozen=True)
class Profile:
    """Cost of one callable: raw seconds, bytes above the start, operations; or why there is none.

    seconds, host_seconds, clock   see `lib.profilers.latency.Timing`
    """

    seconds: list[float] = field(default_factory=list)
    peak_bytes: int | None = None
    flops: int | None = None
    error: str | None = None
    host_seconds: list[float] = field(default_factory=list)
    clock: str | None = None


def profile(
    callables: Mapping[Name, Callable[[], object]],
    *,
    runs: int = 10,
    warmup: int = 3,
    device: str | torch.device = "cpu",
    needs: Mapping[Name, int] | None = None,
    inference: bool = True,
    operations: bool = True,
    formulas: Mapping[Callable, Callable[..., int]] | None = None,
    progress: bool = True,
) -> dict[Name, Profile]:
    """Count operations and bytes of each callable once, then time those that did not fail, interleaved.

    needs    bytes that a call is known to allocate; one that exceeds what is free is out of memory without
             being tried, since a CPU's operating system would end the whole process
    operations   whether operations are counted, too: one more call, each of whose launches goes through Python
    formulas     see `lib.profilers.flops`
    returns  one profile per name; `error` holds the first line of what a failing callable raised, whenever it did
    raises   ValueError or TypeError, before anything is called, for options that cannot be
    """
    check_rounds(runs, warmup)
    device, callables = torch.device(device), named(callables)
    if unknown := [name for name in needs or {} if name not in callables]:
        raise ValueError(f"needs: {unknown[0]!r} is none of the callables, {', '.join(map(repr, callables))}")

    def count(name: Name) -> tuple[int, int | None]:
        _refuse(device, (needs or {}).get(name, 0))
        peak = peak_bytes(callables[name], device=device, inference=inference)
        if not operations:
            return peak, None
        counted = flops(callables[name], formulas=formulas, inference=inference)
        if device.type == "cuda":
            torch.cuda.synchronize(device)  # what goes wrong later than the call is this call's error
        return peak, counted

    counted = {name: attempt(partial(count, name), device) for name in callables}
    alive = {name: callables[name] for name, (_, error) in counted.items() if error is None}
    options = dict(runs=runs, warmup=warmup, device=device, inference=inference, progress=progress)
    timed = timings(alive, **options, failing=True)
    results = {}
    for name, (costs, error) in counted.items():
        if error is None and timed[name].error is None:
            results[name] = Profile(timed[name].seconds, *costs, None, timed[name].host_seconds, timed[name].clock)
        else:
            results[name] = Profile(error=error or timed[name].error)
    return results


def _refuse(device: str | torch.device, needed: int) -> None:
    free = available_bytes(device)
    if needed > free:
        raise MemoryError(f"needs {needed:,} bytes on {device}, {free:,} are free")
