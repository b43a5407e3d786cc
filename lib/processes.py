"""Processes that end with the one that started them, however that one ends."""

import os
import signal
from multiprocessing import parent_process
from multiprocessing.connection import wait
from threading import Thread


def end_with_parent(*, group: bool = False) -> None:
    """Let this process, one of `multiprocessing`, end as soon as its parent does; in any other, do nothing.

    The parent holds the other end of a pipe, which the system closes when the parent is gone, killed or not.

    group   whether all that it started ends, too: it leads a process group of its own
    """
    parent = parent_process()
    if parent is None:
        return

    def watch() -> None:
        wait([parent.sentinel])
        if group and hasattr(os, "killpg"):
            os.killpg(0, signal.SIGKILL)
        os._exit(1)

    Thread(target=watch, name="end-with-parent", daemon=True).start()
