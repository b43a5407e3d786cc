"""What a measured call may do: compute what it returns, on the device that is measured, and change no setting."""

import asyncio
import types
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager

import torch
from torch import Tensor

# Results that stand for work which is still to be done.
LATER = (
    types.GeneratorType,
    types.CoroutineType,
    types.AsyncGeneratorType,
    map,
    filter,
    zip,
    Future,
    torch._C.Future,
    asyncio.Future,
)
# Settings of the process that decide how fast or whether the next call computes: how each is read and set.
SETTINGS: tuple[tuple[Callable[[], object], Callable[[object], object]], ...] = (
    (torch.get_num_threads, torch.set_num_threads),
    (torch.is_grad_enabled, torch.set_grad_enabled),
    (torch.get_default_dtype, torch.set_default_dtype),
    (torch.get_float32_matmul_precision, torch.set_float32_matmul_precision),
    (torch.are_deterministic_algorithms_enabled, torch.use_deterministic_algorithms),
)


def check_callable(call: object) -> None:
    """Accept what can be called.

    raises   TypeError, quoting it, for anything else
    """
    if not callable(call):
        raise TypeError(f"{call!r:.80} cannot be called: a callable without arguments is needed")


def computed(result: object, device: torch.device | None = None) -> None:
    """Accept what a call returned if the call has computed it where it was measured.

    raises   TypeError for a generator, a coroutine or the like: its work would be done after the measurement;
             ValueError, naming both, for a tensor of a device whose work a CPU's clock does not see
    """
    if isinstance(result, LATER):
        kind = type(result).__name__
        raise TypeError(f"returned a {kind}: its work is still to be done; measure a call that does it, as list(...)")
    if device is None or device.type != "cpu" or not isinstance(result, Tensor):
        return
    if result.device.type not in ("cpu", "meta"):
        raise ValueError(f"returned a tensor on {result.device}, but device = {device} is measured; name that device")


class Settings:
    """Settings of torch as they are now; `restore` brings them back."""

    def __init__(self):
        self._values = [read() for read, _ in SETTINGS]

    def restore(self) -> None:
        """Set what has changed."""
        for (read, write), value in zip(SETTINGS, self._values, strict=True):
            if read() != value:
                write(value)


@contextmanager
def settings_kept() -> Iterator[None]:
    """What is done inside changes no setting outside."""
    settings = Settings()
    try:
        yield
    finally:
        settings.restore()
