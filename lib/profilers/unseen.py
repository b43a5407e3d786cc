"""What would pass a dispatch mode by, brought to its sight or refused: compiled functions, threads, replayed kernels.

A mode of torch sees the operators of its own thread that pass through the dispatcher. While one of ours is at work,
compiled functions run as they were written, threads that are started take the mode along, and what runs kernels without
operators says so.
"""

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Self
from unittest import mock

import torch
from torch.utils._python_dispatch import TorchDispatchMode, _get_current_dispatch_mode_stack

# What runs kernels that no operator stands for: module, class and method.
REPLAYS = (
    ("torch._C", "_CUDAGraph", "replay"),
    ("triton.runtime.jit", "JITFunction", "run"),
    ("torch._inductor.package.package", "AOTICompiledModel", "__call__"),
)
COMPILING = {"torch._dynamo", "torch.nn.attention.flex_attention"}  # where none is loaded, nothing is compiled

_lock, _hooks = threading.Lock(), ExitStack()
_inside: list[object] = []  # the contexts at work, of all threads: the first brings the hooks, the last takes them away


class Shared(TorchDispatchMode):
    """A mode that other threads can have a copy of."""

    def copy(self) -> Self:
        """A mode for another thread, to the same account."""
        raise NotImplementedError


@contextmanager
def seen() -> Iterator[None]:
    """Inside, a mode that can be shared sees all that can be seen, and what cannot be is refused by name."""
    me = object()
    with _lock:
        if not _inside:
            _install()
        _inside.append(me)
    try:
        yield
    finally:
        with _lock:
            _inside.remove(me)
            if not _inside:
                _hooks.close()


def _install() -> None:
    if COMPILING & sys.modules.keys():
        _hooks.enter_context(torch.compiler.set_stance("force_eager"))
    else:
        _hooks.enter_context(mock.patch.object(torch, "compile", _compiling(torch.compile)))
    _hooks.enter_context(mock.patch.object(threading.Thread, "start", _starting(threading.Thread.start)))
    for module, kind, method in REPLAYS:
        owner = getattr(sys.modules.get(module), kind, None)
        if hasattr(owner, method):
            _hooks.enter_context(mock.patch.object(owner, method, _refusing(owner, method)))


def _at_work() -> Shared | None:
    """The mode of this thread that can be shared; none inside an operator that it has let through."""
    return next((mode for mode in _get_current_dispatch_mode_stack() if isinstance(mode, Shared)), None)


def _compiling(plain: Callable) -> Callable:
    """`torch.compile`, after whose first call compiled functions run as they were written."""
    seen: list[None] = []

    def compiled(*args, **kwargs):
        result = plain(*args, **kwargs)
        with _lock:
            if _inside and not seen:
                seen.append(None)
                _hooks.enter_context(torch.compiler.set_stance("force_eager"))
        return result

    return compiled


def _starting(start: Callable[[threading.Thread], None]) -> Callable[[threading.Thread], None]:
    def started(thread: threading.Thread) -> None:
        if mode := _at_work():
            run, copied = thread.run, mode.copy()

            def work() -> None:
                with copied:
                    run()

            thread.run = work
        start(thread)

    return started


def _refusing(owner: type, method: str) -> Callable[..., object]:
    plain = getattr(owner, method)

    def refuse(self, *args, **kwargs):
        if _at_work():
            told = f"{owner.__name__}.{method}: runs kernels that no operator stands for; count what it was made of"
            raise NotImplementedError(told)
        return plain(self, *args, **kwargs)

    return refuse
