"""The scan as operators of torch, which compilers, exports, modes and tracers see in place of a backend's insides.

    ssm::selective_scan            output and last state; differentiable
    ssm::selective_scan_saving     also what the backward pass needs, whose shape is the backend's own
    ssm::selective_scan_backward   gradients of those inputs that are there

Inputs are in the contract's form (`lib.kernels.scan`). "auto" stays in an exported graph and is resolved where it runs;
a graph of a training step names the backend, whose `saved` it holds. `packed` is () or (seq_idx, sequences). Ordinary
eager calls go to the backend directly: a way through torch's dispatcher costs some 10 microseconds each.
"""

import sys
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.autograd.function import once_differentiable
from torch.utils._python_dispatch import _disable_current_modes

from lib import names
from lib.kernels.eager import eager
from lib.kernels.scan.layout import like

INPUTS = (
    "Tensor u, Tensor delta, Tensor A, Tensor B, Tensor C, Tensor? D, Tensor? z, Tensor? delta_bias, "
    "Tensor? initial_state, bool delta_softplus, str backend, Tensor? seq_idx=None, SymInt sequences=0"
)
SCHEMAS = {
    "selective_scan": f"({INPUTS}) -> (Tensor out, Tensor last_state)",
    "selective_scan_saving": f"({INPUTS}) -> (Tensor out, Tensor last_state, Tensor saved)",
    "selective_scan_backward": f"(Tensor grad_out, Tensor? grad_last, Tensor saved, {INPUTS}) -> Tensor[]",
}

INPUT, GRADIENTS = 9, 3  # tensors of the recurrence; before them in the backward pass, gradients and `saved`
VMAP = "torch.vmap does not know the selective scan: put the examples into its batch axis B instead"

_below = torch._C._AutoDispatchBelowAutograd

_library = torch.library.Library("ssm", "FRAGMENT")
for _name, _schema in SCHEMAS.items():
    _library.define(_name + _schema)


def scan(*inputs: Tensor | None, delta_softplus: bool, backend: str, packed: tuple = ()) -> tuple[Tensor, Tensor]:
    """Output and last state of inputs in the contract's form.

    raises   RuntimeError where a backend given by name cannot serve them
    """
    if not eager(*inputs, *packed[:1]):
        return torch.ops.ssm.selective_scan.default(*inputs, delta_softplus, backend, *packed)
    name, kernel = choose(inputs[0].device, inputs[0].dtype, backend)
    if _differentiated(inputs):
        return SelectiveScan.apply(kernel, name, delta_softplus, packed, *inputs)
    return kernel.forward(*inputs, delta_softplus, False, *packed)[:2]


def choose(device: torch.device, dtype: torch.dtype, backend: str = "auto") -> tuple[str, Any]:
    """Name and module of the backend that serves inputs of that device and dtype: the first, or the one named.

    raises   RuntimeError where the one named cannot serve them
    """
    for name in names.BACKENDS if backend == "auto" else (backend,):
        kernel = _module(name)
        if (why := _reason(kernel, device, dtype)) is None:
            return name, kernel
    raise RuntimeError(f"backend = {backend!r} cannot serve {dtype} on {device}: {why}")


class SelectiveScan(torch.autograd.Function):
    """Autograd's view of a backend: runs its forward, keeps inputs and checkpoints, and runs its backward."""

    @staticmethod
    def forward(ctx, kernel, backend, delta_softplus, packed, *inputs):
        """Output and last state."""
        out, last_state, saved = kernel.forward(*inputs, delta_softplus, True, *packed)
        ctx.kernel, ctx.options, ctx.packed = kernel, (delta_softplus, backend), packed
        ctx.save_for_backward(saved, *inputs)
        ctx.set_materialize_grads(False)  # an unused last state costs nothing
        return out, last_state

    @staticmethod
    @once_differentiable
    def backward(ctx, grad_out, grad_last):
        """Gradients of the inputs."""
        if not eager(grad_out, grad_last):  # a compiler of backward passes comes here without one of forward passes
            return None, *Recorded.backward(ctx, grad_out, grad_last, None)
        saved, *inputs = ctx.saved_tensors
        if grad_out is None:
            grad_out = torch.zeros_like(inputs[0])
        found = ctx.kernel.backward(grad_out, grad_last, saved, *inputs, ctx.options[0], *ctx.packed)
        return None, None, None, None, *found


class Recorded(torch.autograd.Function):
    """The operator as autograd sees it: calls the other two."""

    @staticmethod
    def forward(ctx, delta_softplus, backend, packed, *inputs):
        """Output, last state, and what backward needs."""
        ctx.options, ctx.packed = (delta_softplus, backend), packed
        with torch.enable_grad(), _below():  # for what torch.func differentiates outside of this
            out, last_state, saved = torch.ops.ssm.selective_scan_saving.default(*inputs, *ctx.options, *packed)
        ctx.save_for_backward(saved, *inputs)
        ctx.mark_non_differentiable(saved)
        ctx.set_materialize_grads(False)
        return out, last_state, saved

    @staticmethod
    def backward(ctx, grad_out, grad_last, _):
        """Gradients of the inputs."""
        saved, *inputs = ctx.saved_tensors
        if grad_out is None:
            grad_out = torch.zeros_like(inputs[0])
        given = (grad_out, grad_last, saved, *inputs, *ctx.options, *ctx.packed)
        found = iter(torch.ops.ssm.selective_scan_backward.default(*given))
        return None, None, None, *(None if x is None else next(found) for x in inputs)


class Once(torch.autograd.Function):
    """The operator of the backward pass as autograd sees it: what it returns refuses to be differentiated."""

    @staticmethod
    def forward(ctx, *arguments):
        """Gradients."""
        with torch.enable_grad(), _below():
            return tuple(torch.ops.ssm.selective_scan_backward.default(*arguments))

    @staticmethod
    def backward(ctx, *grads):
        """Refuse."""
        raise RuntimeError("the selective scan can be differentiated once, not twice")


def _differentiated(inputs: tuple | list) -> bool:
    if forward_ad._current_level >= 0:  # a scan has no forward mode: autograd says so
        return True
    return torch.is_grad_enabled() and any(x is not None and x.requires_grad for x in inputs)


def _reason(kernel: Any, device: torch.device, dtype: torch.dtype) -> str | None:
    if torch._C._len_torch_dispatch_stack() == 0:
        return kernel.unavailable(device, dtype)
    with _disable_current_modes():  # a backend may try itself out, on tensors that hold data
        return kernel.unavailable(device, dtype)


def _module(name: str) -> Any:
    row = names.BACKENDS[name]
    return sys.modules.get(row.module) or names.code("BACKENDS", name, row)


def _split(arguments: tuple) -> tuple[tuple, bool, str, tuple]:
    """Inputs, delta_softplus, backend, and `packed`, of arguments whose defaults torch leaves out."""
    inputs, (delta_softplus, backend, *packed) = arguments[:INPUT], arguments[INPUT:]
    return inputs, delta_softplus, backend, (*packed, 0)[:2] if packed and packed[0] is not None else ()


def _autograd(*arguments) -> tuple[Tensor, Tensor]:
    inputs, delta_softplus, backend, packed = _split(arguments)
    if not _differentiated(inputs):
        with _below():
            return torch.ops.ssm.selective_scan.default(*arguments)
    if eager(*inputs, *packed[:1]):
        return scan(*inputs, delta_softplus=delta_softplus, backend=backend, packed=packed)
    name, _ = choose(inputs[0].device, inputs[0].dtype, backend)
    return _apply(Recorded, delta_softplus, name, packed, *inputs)[:2]


def _autograd_of_saving(*arguments) -> tuple[Tensor, Tensor, Tensor]:
    inputs, delta_softplus, backend, packed = _split(arguments)
    if _differentiated(inputs):
        return _apply(Recorded, delta_softplus, backend, packed, *inputs)
    with _below():
        return torch.ops.ssm.selective_scan_saving.default(*arguments)


def _autograd_of_backward(*arguments) -> list[Tensor]:
    if _differentiated(arguments[: GRADIENTS + INPUT]):
        return list(_apply(Once, *arguments))
    with _below():
        return torch.ops.ssm.selective_scan_backward.default(*arguments)


def _apply(function: type[torch.autograd.Function], *arguments) -> tuple[Tensor, ...]:
    """What autograd does at one level of torch.func's transforms: Function's own `apply` is for all of them at once."""
    with torch._functorch.autograd_function.enable_single_level_autograd_function():
        return super(torch.autograd.Function, function).apply(*arguments)


def _forward(*arguments) -> tuple[Tensor, Tensor]:
    inputs, delta_softplus, backend, packed = _split(arguments)
    _, kernel = choose(inputs[0].device, inputs[0].dtype, backend)
    return kernel.forward(*inputs, delta_softplus, False, *packed)[:2]


def _forward_saving(*arguments) -> tuple[Tensor, Tensor, Tensor]:
    inputs, delta_softplus, backend, packed = _split(arguments)
    return _module(backend).forward(*inputs, delta_softplus, True, *packed)


def _backward(*arguments) -> list[Tensor]:
    inputs, delta_softplus, backend, packed = _split(arguments[GRADIENTS:])
    found = _module(backend).backward(*arguments[:GRADIENTS], *inputs, delta_softplus, *packed)
    return [x for x in found if x is not None]


def _fake_forward(u, delta, A, *others) -> tuple[Tensor, Tensor]:
    *_, packed = _split((u, delta, A, *others))
    sequences = packed[1] if packed and packed[1] else u.shape[0]
    return like(u), A.new_empty(sequences, *A.shape)


def _fake_forward_saving(*arguments) -> tuple[Tensor, Tensor, Tensor]:
    (u, _, A, B, C, *_), _, backend, _ = _split(arguments)
    return *_fake_forward(*arguments), A.new_empty(_module(backend).saved_shape(u, A, B, C))


def _fake_backward(grad_out, grad_last, saved, u, delta, A, B, C, D, z, delta_bias, initial_state, *others):
    varying = [x for x in (u, delta, z, B, C) if x is not None and x.ndim > 2]
    inputs = (u, delta, A, B, C, D, z, delta_bias, initial_state)
    return [like(x) if any(x is y for y in varying) else x.new_empty(x.shape) for x in inputs if x is not None]


def _no_vmap(info, in_dims, *arguments):
    raise RuntimeError(VMAP)


for _name, _run, _differentiate, _fake in (
    ("selective_scan", _forward, _autograd, _fake_forward),
    ("selective_scan_saving", _forward_saving, _autograd_of_saving, _fake_forward_saving),
    ("selective_scan_backward", _backward, _autograd_of_backward, _fake_backward),
):
    _library.impl(_name, _run, "CompositeExplicitAutograd")
    _library.impl(_name, _differentiate, "Autograd")
    torch.library.register_fake(f"ssm::{_name}", _fake, lib=_library)
    torch.library.register_vmap(f"ssm::{_name}", _no_vmap, lib=_library)
