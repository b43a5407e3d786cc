"""Failures as results: what went wrong in one line, and the memory of what failed given back."""

import gc
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

import torch

Result = TypeVar("Result")
# What allocators and libraries say beside torch.OutOfMemoryError: a CPU's, CUDA's own, cuBLAS, cuDNN and cuFFT.
EXHAUSTED = ("can't allocate memory", "out of memory", "ALLOC_FAILED")


def attempt(work: Callable[[], Result], device: str | torch.device) -> tuple[Result | None, str | None]:
    """Do some work that may fail.

    device   whose memory is given back after a failure, so that what is next finds all of it
    returns  what the work returns and None, or None and its error as `describe` words it
    """
    try:
        return work(), None
    except Exception as error:
        told = describe(error)
    # Only here: up to this line the error held the frames that it came through, and these their tensors.
    release(torch.device(device))
    return None, told


def describe(error: Exception) -> str:
    """An error as one line for a record: out of memory under one name on every device, anything else by its type."""
    try:
        first = (str(error).strip().splitlines() or [""])[0]
    except Exception:  # an error of somebody else's, which cannot say what it is
        first = ""
    memory = isinstance(error, torch.OutOfMemoryError | MemoryError) or any(words in first for words in EXHAUSTED)
    return f"{'out of memory' if memory else type(error).__name__}: {first}"


def release(device: torch.device) -> None:
    """Free what nothing refers to any more, reference cycles included, and hand a GPU's cached blocks back."""
    gc.collect()
    if device.type == "cuda":
        with suppress(RuntimeError):  # a device that an error has broken; whatever is called next will say so
            torch.cuda.empty_cache()
