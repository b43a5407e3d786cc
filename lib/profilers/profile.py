"""Latency, memory and FLOPs of several callables together. A case that fails is a result, not a crash."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch

from lib.profilers.flops import flops
from lib.profilers.latency import Name, latency
from lib.profilers.memory import available_bytes, peak_bytes


@dataclass(frozen=True)
class Profile:
    """Cost of one callable: raw seconds, bytes above the start, operations; or why there is none."""

    seconds: list[float] = field(default_factory=list)
    peak_bytes: int | None = None
    flops: int | None = None
    error: str | None = None


def profile(
    callables: Mapping[Name, Callable[[], object]],
    *,
    runs: int = 10,
    warmup: int = 3,
    device: str | torch.device = "cpu",
    needs: Mapping[Name, int] | None = None,
    inference: bool = True,
    progress: bool = True,
) -> dict[Name, Profile]:
    """Count operations and bytes of each callable once, then time those that did not fail, interleaved.

    needs    bytes that a call is known to allocate; one that exceeds what is free is out of memory without
             being tried, since a CPU's operating system would end the whole process
    returns  one profile per name; `error` holds the first line of what a failing callable raised
    """
    counted: dict[Name, Profile] = {}
    for name, call in callables.items():
        try:
            _refuse(device, (needs or {}).get(name, 0))
            counted[name] = Profile(
                peak_bytes=peak_bytes(call, device=device, inference=inference),
                flops=flops(call, inference=inference),
            )
        except Exception as error:
            counted[name] = Profile(error=describe(error))

    alive = {name: callables[name] for name, result in counted.items() if result.error is None}
    seconds = latency(alive, runs=runs, warmup=warmup, device=device, inference=inference, progress=progress)
    return {
        name: Profile(seconds.get(name, []), result.peak_bytes, result.flops, result.error)
        for name, result in counted.items()
    }


def _refuse(device: str | torch.device, needed: int) -> None:
    free = available_bytes(device)
    if needed > free:
        raise MemoryError(f"needs {needed:,} bytes on {device}, {free:,} are free")


def describe(error: Exception) -> str:
    """An error as one line for a record: out of memory under one name on every device, anything else by its type."""
    first = (str(error).strip().splitlines() or [""])[0]
    memory = isinstance(error, torch.OutOfMemoryError | MemoryError) or "can't allocate memory" in first
    return f"{'out of memory' if memory else type(error).__name__}: {first}"
