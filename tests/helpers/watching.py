"""Processes and files that a test waits for."""

import time
from collections.abc import Callable
from pathlib import Path

LISTED = Path("/proc/self/stat").exists()  # whether processes can be looked up


def runs(process: int) -> bool:
    """Whether a process is there, and is not one that has ended and is only listed."""
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def wait_for(what: Callable[[], object], seconds: float = 120) -> None:
    """Wait until something is so; fails after some seconds."""
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, f"not so after {seconds} s"
        time.sleep(0.02)
