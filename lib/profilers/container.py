"""What a container, a batch job or a shell leaves of a machine's memory: Linux control groups, and limits of a process.

A group's use counts files that the kernel has read and can drop: those are free. Source: the kernel's own documents,
cgroup-v2 (memory.max, memory.current, memory.stat) and cgroup-v1/memory (limit_in_bytes, usage_in_bytes).
"""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil

GROUPS = Path("/sys/fs/cgroup")
SELF = Path("/proc/self/cgroup")
# limit, use, and what of it can be dropped, as a line of memory.stat
UNIFIED = ("memory.max", "memory.current", "inactive_file")
LEGACY = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")


def free_bytes(groups: Path = GROUPS, own: Path = SELF) -> int | None:
    """The least that any limit on this process leaves; None where there is none.

    groups   where control groups are mounted
    own      the file that says in which ones this process is
    """
    return min([*_left_by_groups(groups, own), *_left_by_process()], default=None)


def _left_by_groups(groups: Path, own: Path) -> Iterator[int]:
    """What each group leaves in which this process is: its own, and all above, as far as they are seen from here."""
    lines = []
    with suppress(OSError):
        lines = own.read_text().splitlines()
    for line in lines:
        number, _, rest = line.partition(":")
        controllers, _, place = rest.partition(":")
        if number == "0":
            roots, files = (groups, groups / "unified"), UNIFIED
        elif "memory" in controllers.split(","):
            roots, files = (groups / "memory",), LEGACY
        else:
            continue
        # A container sees its own group as the root, but may be told the host's name of it.
        parts = [part for part in Path(place).parts if part not in ("/", "..")]
        for root in roots:
            for depth in range(len(parts) + 1):
                with suppress(OSError, ValueError):  # no such group here, or "max": no limit
                    yield _left(root.joinpath(*parts[:depth]), *files)


def _left(group: Path, limit: str, used: str, droppable: str) -> int:
    most, now = (int((group / name).read_text()) for name in (limit, used))
    stat = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
    return max(0, most - now + int(stat.get(droppable, 0)))


def _left_by_process() -> Iterator[int]:
    """What `ulimit -v` leaves, where the system knows such limits."""
    with suppress(ImportError):
        import resource

        most, _ = resource.getrlimit(resource.RLIMIT_AS)
        if most != resource.RLIM_INFINITY:
            yield max(0, most - psutil.Process().memory_info().vms)
