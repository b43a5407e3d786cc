"""What the time of a scan with fewer states cannot be below, relative to that with all of them.

Counted in instructions of the compiled scan, for a register of channels and a token, where memory keeps up: see the
head of `lib/kernels/scan/selective_scan.cpp`. A state costs its exponential, its product and its sum; softplus, SiLU,
loads and stores are there at any number of states, so the time does not fall in proportion to it.
"""

from collections.abc import Iterable

from lib.experiments.distill_states import SCAN, SCAN_TRAINING

INSTRUCTIONS = {  # part -> for each state, and for what is there without any; a training step is both passes
    SCAN: (12, 48),
    SCAN_TRAINING: (12 + 20, 48 + 63),
}


def floor(part: str, states: int, whole: int) -> float:
    """Instructions with so many states, relative to those with all; not a number for what is more than a scan."""
    if part not in INSTRUCTIONS:
        return float("nan")
    each, always = INSTRUCTIONS[part]
    return (each * states + always) / (each * whole + always)


def floors(parts: Iterable[str], states: Iterable[int], whole: int, device: str = "cpu") -> list[float]:
    """The floor of each case; not a number on a GPU, whose scan is bound by memory."""
    pairs = zip(parts, states, strict=True)
    return [floor(part, count, whole) if device == "cpu" else float("nan") for part, count in pairs]
