"""Tensors that say they are on cuda and hold their values on the CPU, and what operators make of them.

Every operator that meets one beside a tensor on the CPU is put to FakeTensorMode, with both on the devices that they
say: what that refuses is refused here, in its words. Inside of torch they are on "lazy", a device that every build of
torch knows and nobody here uses: autograd ends the whole process where it finds a tensor on "cuda" and no driver.
"""

import copy
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter, tree_map_only

CUDA = torch.device("cuda", 0)  # as callers see it
INSIDE = torch.device("lazy", 0)  # as torch sees it
CPU = torch.device("cpu")
aten = torch.ops.aten
INDEXING = {aten.index.Tensor, aten.index_put.default, aten.index_put_.default, aten._unsafe_index.Tensor}


def _refused(device: torch.device = CUDA) -> TypeError:
    said = f"can't convert {device} device type tensor to numpy."
    return TypeError(f"{said} Use Tensor.cpu() to copy the tensor to host memory first.")


class OnCuda(Tensor):
    """A tensor that says it is on cuda; `held` has its values, on the CPU."""

    held: Tensor
    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, held: Tensor) -> "OnCuda":
        sizes = {"strides": held.stride(), "storage_offset": held.storage_offset()}
        with torch.inference_mode(False):  # what is made there has no versions, which a wrapper is asked for
            made = Tensor._make_wrapper_subclass(cls, held.shape, **sizes, dtype=held.dtype, device=INSIDE)
        made.held = held
        return made

    device = property(lambda self: CUDA)
    is_cuda = property(lambda self: True)
    is_cpu = property(lambda self: False)

    @property
    def data(self) -> Tensor:
        return self.detach()

    @data.setter
    def data(self, other: Tensor) -> None:
        if type(other) is not OnCuda or (other.shape, other.dtype) != (self.shape, self.dtype):
            raise NotImplementedError("x.data = y of another device, shape or dtype")
        self.held = other.held

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        return _computed(func, args, kwargs or {})

    def numpy(self, *_, **__):
        raise _refused()

    def __array__(self, *_, **__):
        raise _refused()

    def tolist(self):
        return self.held.tolist()

    def data_ptr(self):
        raise RuntimeError("a kernel asks where a pretended tensor lies")

    def __repr__(self, **_):
        return f"tensor(..., shape={tuple(self.shape)}, dtype={self.dtype}, device='{CUDA}')"

    def __format__(self, how: str) -> str:
        return format(self.item(), how) if self.dim() == 0 else repr(self)

    def __deepcopy__(self, memo: dict) -> "OnCuda":
        if id(self) not in memo:
            made = OnCuda(copy.deepcopy(self.held))
            if isinstance(self, torch.nn.Parameter):
                made = torch.nn.Parameter(made, self.requires_grad)
            memo[id(self)] = made
        return memo[id(self)]


class Compute(TorchDispatchMode):
    """Makes tensors on INSIDE out of thin air, and moves them there and away."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        return _computed(func, args, kwargs or {})


def _computed(func: Callable, args: tuple, kwargs: dict) -> Any:
    """Run one operator on the CPU; its results are where torch would have put them."""
    if kwargs.get("pin_memory"):  # needs a driver
        kwargs = {**kwargs, "pin_memory": False}
    given = list(_each((*args, *kwargs.values())))
    tensors = [one for one in given if isinstance(one, Tensor)]
    there = {id(one.held): one for one in tensors if type(one) is OnCuda}
    asked = kwargs.get("device")
    if not there and not any(isinstance(one, torch.device) and one == INSIDE for one in given):
        return func(*args, **kwargs)
    if func._can_decompose():  # in inference mode, torch does not take it apart
        with Compute():
            return func.decompose(*args, **kwargs)
    apart = [one for one in tensors if type(one) is not OnCuda]
    places = _judged(func, args, kwargs) if there and apart else None
    named = {name: _held(one) for name, one in kwargs.items()}
    found = func(*map(_held, args), **named | ({} if asked is None else {"device": CPU}))
    on_cuda = asked == INSIDE if asked is not None else True
    results = [one for one in _each((found,)) if isinstance(one, Tensor)]
    places = places or [on_cuda] * len(results)
    wraps = dict(zip(map(id, results), places, strict=True))

    def wrapped(one: Any) -> Any:
        if type(one) in (list, tuple):
            return type(one)(map(wrapped, one))
        if not isinstance(one, Tensor):
            return one
        if (same := there.get(id(one))) is not None:  # computed in place
            if same.shape != one.shape:
                raise NotImplementedError(f"{func}: a shape that changes in place")
            return same
        return OnCuda(one.resolve_conj().resolve_neg()) if wraps[id(one)] and type(one) is not OnCuda else one

    return wrapped(found)


def _each(values: Iterable) -> Iterator:
    """All that an operator is given; a third of the time that a walk through any tree takes."""
    for one in values:
        if type(one) in (list, tuple):
            yield from _each(one)
        else:
            yield one


def _held(one: Any) -> Any:
    if type(one) in (list, tuple):
        return type(one)(map(_held, one))
    return one.held if type(one) is OnCuda else one


def _judged(func: Callable, args: tuple, kwargs: dict) -> list[bool]:
    """Which results of an operator on tensors of both devices are on cuda, by FakeTensorMode; it refuses most."""
    if func in INDEXING:  # masks have no shape without values
        return [_judged_index(*args)]
    if kwargs.get("device") is not None:
        kwargs = {**kwargs, "device": CUDA if kwargs["device"] == INSIDE else kwargs["device"]}
    with torch._C.DisableTorchFunction(), FakeTensorMode() as mode:

        def fake(one: Tensor) -> Tensor:
            where = CUDA if type(one) is OnCuda else CPU
            return torch.empty_strided(one.shape, one.stride(), dtype=one.dtype, device=where)

        known = {id(one): fake(one) for one in tree_iter((args, kwargs)) if isinstance(one, Tensor)}
        args, kwargs = (tree_map_only(Tensor, lambda one: known[id(one)], part) for part in (args, kwargs))
        with mode:
            found = func(*args, **kwargs)
    return [one.device.type == "cuda" for one in tree_iter(found) if isinstance(one, Tensor)]


def _judged_index(indexed: Tensor, indices: list, values: Tensor | None = None, *_: Any) -> bool:
    """Whether an indexed tensor is on cuda; refused as torch does: indices of a tensor on cuda may be on the CPU."""
    there = type(indexed) is OnCuda
    if not there and any(type(one) is OnCuda for one in indices):
        raise RuntimeError("indices should be either on cpu or on the same device as the indexed tensor (cpu)")
    if values is not None and values.dim() and (type(values) is OnCuda) != there:
        raise RuntimeError("Expected all tensors to be on the same device: the indexed tensor and its values are not")
    return there
