"""The scan as operators of torch, which compilers, exports, modes and tracers see in place of a backend's insides.

    ssm::selective_scan            output and last state; differentiable
    ssm::selective_scan_saving     also what the backward pass needs, whose shape is the backend's own
    ssm::selective_scan_backward   gradients of those inputs that are there

Inputs are in the contract's form (`lib.kernels.scan`). "auto" stays in an exported graph and is resolved where it runs;
a graph of a training step names the backend, whose `saved` it holds. Ordinary eager calls go to the backend directly:
a way through torch's dispatcher costs some 10 microseconds each.
"""

import sys
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from lib import names
from lib.kernels.scan.layout import like

INPUTS = (
    "Tensor u, Tensor delta, Tensor A, Tensor B, Tensor C, Tensor? D, Tensor? z, Tensor? delta_bias, "
    "Tensor? initial_state, bool delta_softplus, str backend"
)
SCHEMAS = {
    "selective_scan": f"({INPUTS}) -> (Tensor out, Tensor last_state)",
    "selective_scan_saving": f"({INPUTS}) -> (Tensor out, Tensor last_state, Tensor saved)",
    "selective_scan_backward": f"(Tensor grad_out, Tensor? grad_last, Tensor saved, {INPUTS}) -> Tensor[]",
}
PLAIN = {Tensor, torch.nn.Parameter, type(None)}  # of these types themselves: a subclass may hold no data

_library = torch.library.Library("ssm", "FRAGMENT")
for _name, _schema in SCHEMAS.items():
    _library.define(_name + _schema)


def scan(*inputs: Tensor | None, delta_softplus: bool, backend: str) -> tuple[Tensor, Tensor]:
    """Output and last state of inputs in the contract's form.

    raises   RuntimeError where a backend given by name cannot serve them
    """
    if not _plain(*inputs):
        return torch.ops.ssm.selective_scan.default(*inputs, delta_softplus, backend)
    name, kernel = choose(inputs[0].device, inputs[0].dtype, backend)
    if _differentiated(inputs):
        return SelectiveScan.apply(kernel, name, delta_softplus, *inputs)
    return kernel.forward(*inputs, delta_softplus, False)[:2]


def choose(device: torch.device, dtype: torch.dtype, backend: str = "auto") -> tuple[str, Any]:
    """Name and module of the backend that serves inputs of that device and dtype: the first, or the one named.

    raises   RuntimeError where the one named cannot serve them
    """
    for name in names.BACKENDS if backend == "auto" else (backend,):
        kernel = _module(name)
        if (why := kernel.unavailable(device, dtype)) is None:
            return name, kernel
    raise RuntimeError(f"backend = {backend!r} cannot serve {dtype} on {device}: {why}")


class SelectiveScan(torch.autograd.Function):
    """Autograd's view of a backend: runs its forward, keeps inputs and checkpoints, and runs its backward."""

    @staticmethod
    def forward(ctx, kernel: Any, backend: str, delta_softplus: bool, *inputs: Tensor | None):
        """Output and last state."""
        out, last_state, saved = kernel.forward(*inputs, delta_softplus, True)
        ctx.backend, ctx.delta_softplus = backend, delta_softplus
        ctx.save_for_backward(saved, *inputs)
        ctx.set_materialize_grads(False)  # an unused last state costs nothing
        return out, last_state

    @staticmethod
    @once_differentiable
    def backward(ctx, grad_out: Tensor | None, grad_last: Tensor | None):
        """Gradients of the inputs."""
        saved, *inputs = ctx.saved_tensors
        if grad_out is None:
            grad_out = torch.zeros_like(inputs[0])
        # Chosen anew: a compiler of backward passes comes here after a forward pass that ran as it was.
        kernel = _module(ctx.backend) if _plain(grad_out, *inputs) else Recorded(ctx.backend)
        return None, None, None, *kernel.backward(grad_out, grad_last, saved, *inputs, ctx.delta_softplus)


@dataclass(frozen=True)
class Recorded:
    """A backend by way of its operators, for whoever records or changes what is done to tensors; same contract."""

    backend: str

    def forward(self, *arguments) -> tuple[Tensor, Tensor, Tensor]:
        """Output, last state, and what backward needs."""
        *inputs, _keep = arguments
        with torch._C._AutoDispatchBelowAutograd():
            return torch.ops.ssm.selective_scan_saving.default(*inputs, self.backend)

    def backward(self, *arguments) -> list[Tensor | None]:
        """Gradients, None where an input is."""
        found = iter(torch.ops.ssm.selective_scan_backward.default(*arguments, self.backend))
        return [None if x is None else next(found) for x in arguments[3:-1]]


def _plain(*tensors: Tensor | None) -> bool:
    """Whether a backend may read these tensors: they hold data, and nobody records or changes what is done to them."""
    if (
        torch.compiler.is_compiling()
        or torch.jit.is_tracing()
        or torch._C._len_torch_dispatch_stack()
        or torch._C._are_functorch_transforms_active()
    ):
        return False
    return PLAIN.issuperset(map(type, tensors))


def _differentiated(inputs: tuple | list) -> bool:
    return torch.is_grad_enabled() and any(x is not None and x.requires_grad for x in inputs)


def _module(name: str) -> Any:
    row = names.BACKENDS[name]
    return sys.modules.get(row.module) or names.code("BACKENDS", name, row)


def _autograd(*arguments) -> tuple[Tensor, Tensor]:
    """The operator as autograd sees it."""
    *inputs, delta_softplus, backend = arguments
    if not _differentiated(inputs):
        with torch._C._AutoDispatchBelowAutograd():
            return torch.ops.ssm.selective_scan.default(*arguments)
    name, kernel = choose(inputs[0].device, inputs[0].dtype, backend)
    return SelectiveScan.apply(kernel if _plain(*inputs) else Recorded(name), name, delta_softplus, *inputs)


def _forward(*arguments) -> tuple[Tensor, Tensor]:
    *inputs, delta_softplus, backend = arguments
    _, kernel = choose(inputs[0].device, inputs[0].dtype, backend)
    return kernel.forward(*inputs, delta_softplus, False)[:2]


def _forward_saving(*arguments) -> tuple[Tensor, Tensor, Tensor]:
    *inputs, delta_softplus, backend = arguments
    return _module(backend).forward(*inputs, delta_softplus, True)


def _backward(*arguments) -> list[Tensor]:
    *tensors, delta_softplus, backend = arguments
    return [x for x in _module(backend).backward(*tensors, delta_softplus) if x is not None]


def _fake_forward(u, delta, A, *others) -> tuple[Tensor, Tensor]:
    return like(u), A.new_empty(u.shape[0], *A.shape)


def _fake_forward_saving(u, delta, A, B, C, *others) -> tuple[Tensor, Tensor, Tensor]:
    backend = others[-1]
    return *_fake_forward(u, delta, A), A.new_empty(_module(backend).saved_shape(u, A, B, C))


def _fake_backward(grad_out, grad_last, saved, u, delta, A, B, C, D, z, delta_bias, initial_state, *others):
    varying = [x for x in (u, delta, z, B, C) if x is not None and x.ndim > 2]
    inputs = (u, delta, A, B, C, D, z, delta_bias, initial_state)
    return [like(x) if any(x is y for y in varying) else x.new_empty(x.shape) for x in inputs if x is not None]


def _no_vmap(info, in_dims, *arguments):
    raise RuntimeError("torch.vmap does not know the selective scan: put the examples into its batch axis B instead")


_library.impl("selective_scan", _autograd, "Autograd")
for _name, _run, _fake in (
    ("selective_scan", _forward, _fake_forward),
    ("selective_scan_saving", _forward_saving, _fake_forward_saving),
    ("selective_scan_backward", _backward, _fake_backward),
):
    _library.impl(_name, _run, "CompositeExplicitAutograd")
    torch.library.register_fake(f"ssm::{_name}", _fake, lib=_library)
    torch.library.register_vmap(f"ssm::{_name}", _no_vmap, lib=_library)
