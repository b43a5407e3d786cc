"""A cuda device that is pretended, on a machine without one: right values, computed on the CPU, and torch's own rules.

Inside `pretended()` a tensor that is made on or moved to "cuda" is an `OnCuda`, see `cuda_tensors`, which puts what
mixes devices to FakeTensorMode. What that mode alone cannot run, since it has no values (`item`, shapes that depend on
data, whole trainings and chapters), runs here all the same.

Nothing is timed: clocks and memory of the device stand still. What a driver alone could do is refused by name.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import torch
from cuda_tensors import CPU, CUDA, INSIDE, Compute, OnCuda
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_iter, tree_map_only

NAME = "a pretended GPU"
FREE, PEAK = 15 * 2**30, 2**30  # bytes: of a T4, of any call
PROPERTIES = SimpleNamespace(name=NAME, total_memory=FREE, multi_processor_count=40, major=7, minor=5)
FROM_VALUES = {torch.tensor, torch.as_tensor, torch.asarray}  # what torch makes where no mode sees it
NAMING = {torch.device, torch.get_device_module}  # what names a device and does nothing there
HALF = {  # what autocast computes in half precision on cuda, among what is used here
    torch.nn.functional.linear,
    torch.nn.functional.scaled_dot_product_attention,
    *(getattr(torch, name) for name in ("matmul", "mm", "bmm", "addmm", "conv1d", "conv2d", "einsum")),
    *(getattr(Tensor, name) for name in ("matmul", "__matmul__", "__rmatmul__", "mm", "bmm")),
}
SINGLE = {  # and in single precision
    *(getattr(torch, name) for name in ("exp", "softmax", "log_softmax", "layer_norm", "norm")),
    *(getattr(Tensor, name) for name in ("exp", "softmax", "log_softmax", "norm")),
    *(getattr(torch.nn.functional, name) for name in ("softmax", "log_softmax", "layer_norm", "cross_entropy")),
}


class _Kind(type(torch._C.Generator)):
    """A module that is imported meanwhile has our class in its annotations for good: any generator is one of it."""

    def __instancecheck__(cls, one: object) -> bool:
        return isinstance(one, torch._C.Generator)


class Generator(torch._C.Generator, metaclass=_Kind):
    """A generator that says on which device it draws; its numbers are those of a CPU's."""

    def __new__(cls, device: Any = "cpu") -> torch.Generator:
        there = torch.device(device).type == "cuda"
        return super().__new__(cls if there else torch._C.Generator, CPU)

    device = property(lambda self: CUDA)

    def manual_seed(self, seed: int) -> "Generator":
        super().manual_seed(seed)
        return self


class _Names(TorchFunctionMode):
    """What callers call "cuda" is INSIDE for torch; generators are of the device that they draw for; autocast."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if func in NAMING:
            return func(*args, **kwargs or {})
        args, kwargs = tuple(map(_inside, args)), {name: _inside(value) for name, value in (kwargs or {}).items()}
        if func is Tensor.cuda:
            return args[0].to(INSIDE)
        if func in FROM_VALUES and kwargs.get("device") == INSIDE:
            given = {name: value for name, value in kwargs.items() if name not in ("device", "requires_grad")}
            return func(*args, **given).to(INSIDE).requires_grad_(kwargs.get("requires_grad", False))
        if (generator := kwargs.get("generator")) is not None:
            _check_generator(generator, args, kwargs)
        if torch.is_autocast_enabled("cuda"):
            args, kwargs = _autocast(func, args, kwargs)
        return func(*args, **kwargs)


@contextmanager
def pretended() -> Iterator[None]:
    """A context with a cuda device that is pretended; tensors made outside of it are on the CPU."""
    with ExitStack() as stack:
        for name, answer in ANSWERS.items():
            stack.enter_context(patch.object(torch.cuda, name, answer))
        stack.enter_context(patch.object(torch.accelerator, "synchronize", _nothing))
        stack.enter_context(patch.object(torch, "Generator", Generator))
        overwrites = torch.__future__.get_overwrite_module_params_on_conversion()
        # A module's weights are new ones after a conversion: what a tensor holds cannot take another dtype in place.
        torch.__future__.set_overwrite_module_params_on_conversion(True)
        stack.callback(torch.__future__.set_overwrite_module_params_on_conversion, overwrites)
        stack.enter_context(_Names())
        stack.enter_context(Compute())
        yield


class Event:
    """A mark in a queue that is never begun before the host is done, and a millisecond after the mark before it."""

    def __init__(self, **_: Any):
        pass

    record = synchronize = lambda self, *_: None

    def query(self) -> bool:
        return False

    def elapsed_time(self, _: "Event") -> float:
        return 1.0


def _nothing(*_: Any, **__: Any) -> None:
    """What has been waited for, emptied or reset."""


ANSWERS: dict[str, Callable[..., Any]] = {  # of torch.cuda, as far as the library asks
    "is_available": lambda: True,
    "device_count": lambda: 1,
    "current_device": lambda: 0,
    "get_device_name": lambda *_: NAME,
    "get_device_capability": lambda *_: (PROPERTIES.major, PROPERTIES.minor),
    "is_bf16_supported": lambda *_, **__: True,  # slowly, on a T4
    "mem_get_info": lambda *_: (FREE, FREE),
    "get_device_properties": lambda *_: PROPERTIES,
    "memory_allocated": lambda *_: 0,
    "memory_reserved": lambda *_: 0,
    "max_memory_allocated": lambda *_: PEAK,
    "synchronize": _nothing,
    "empty_cache": _nothing,
    "reset_peak_memory_stats": _nothing,
    "device": nullcontext,
    "Event": Event,
    "_sleep": _nothing,
}


def _inside(value: Any) -> Any:
    if isinstance(value, torch.device):
        return INSIDE if value.type == "cuda" else value
    return INSIDE if isinstance(value, str) and value.partition(":")[0] == "cuda" else value


def _check_generator(generator: torch.Generator, args: tuple, kwargs: dict) -> None:
    """Refuse one of another device than what is drawn, in torch's words."""
    found = any(type(one) is OnCuda for one in tree_iter((args, kwargs)))
    wanted = kwargs.get("device") or (INSIDE if found else CPU)
    wanted = "cuda" if torch.device(wanted) == INSIDE else "cpu"
    if generator.device.type != wanted:
        raise RuntimeError(f"Expected a '{wanted}' device type for generator but found '{generator.device.type}'")


def _autocast(func: Callable, args: tuple, kwargs: dict) -> tuple[tuple, dict]:
    dtype = torch.get_autocast_dtype("cuda") if func in HALF else torch.float32 if func in SINGLE else None
    if dtype is None:
        return args, kwargs

    def cast(x: OnCuda) -> Tensor:
        return x.to(dtype) if x.is_floating_point() and x.dtype != torch.float64 else x

    return tree_map_only(OnCuda, cast, args), tree_map_only(OnCuda, cast, kwargs)
