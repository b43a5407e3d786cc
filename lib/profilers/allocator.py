"""A CPU allocator that keeps what is freed, as CUDA's does, so that a timing holds computation and not page faults.

By default glibc hands every large block back to the system. Each call then pays for mapping and clearing its
activations anew: up to half of the time of a memory-bound model, and more for the variant with more activations.
"""

import ctypes
import platform
from collections.abc import Iterator
from contextlib import contextmanager

# Names and numbers of glibc's malloc.h; mallopt(3).
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _MMAP_MAX = -1, -3, -4
_MIB = 2**20


def describe() -> str:
    """The allocator that a measurement on this machine's CPU uses, for its record."""
    return "glibc, freed memory kept" if _glibc() else "system default"


@contextmanager
def freed_memory_kept() -> Iterator[None]:
    """Inside, freed memory stays with the process; at the end it goes back. Without glibc nothing changes."""
    if not _glibc():
        yield
        return
    libc = ctypes.CDLL(None)
    libc.mallopt(_MMAP_MAX, 0)
    libc.mallopt(_TRIM_THRESHOLD, -1)
    try:
        yield
    finally:
        # Where glibc's own adaptive thresholds end up after the first large block.
        libc.mallopt(_MMAP_MAX, 65536)
        libc.mallopt(_MMAP_THRESHOLD, 32 * _MIB)
        libc.mallopt(_TRIM_THRESHOLD, 64 * _MIB)
        libc.malloc_trim(0)


def _glibc() -> bool:
    return platform.libc_ver()[0] == "glibc"
