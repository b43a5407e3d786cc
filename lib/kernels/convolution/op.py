"""The convolution with SiLU by kernels, as operators of torch and as autograd sees it in eager mode.

    ssm::causal_convolution            output; differentiable
    ssm::causal_convolution_backward   gradients of those inputs that are there

Inputs as in `lib.kernels.convolution`; where the kernels cannot serve, the operators run in torch. They are for
compilers and exports. Ordinary eager calls go to the kernels directly: a way through torch's dispatcher costs some 10
microseconds each. A mode that counts what is done to tensors finds torch's own operators, whose formulas it knows.
"""

from types import ModuleType

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from lib.kernels.convolution import cpp, cuda
from lib.kernels.convolution import torch as anywhere
from lib.kernels.eager import eager, settled

KERNELS = {"cuda": cuda, "cpu": cpp}  # by the kind of device
DEVICE = "cuda"  # elsewhere compilers and exports see torch's own operators, which they know
INPUTS = "Tensor x, Tensor? past, Tensor weight, Tensor? bias"
SCHEMAS = {
    "causal_convolution": f"({INPUTS}) -> Tensor",
    "causal_convolution_backward": f"(Tensor grad, {INPUTS}) -> Tensor[]",
}


class Convolution(torch.autograd.Function):
    """The kernels: inputs are kept, what lies between convolution and SiLU is computed anew."""

    @staticmethod
    def forward(ctx, *inputs):
        """SiLU of the convolution."""
        ctx.save_for_backward(*inputs)
        return KERNELS[inputs[0].device.type].forward(*inputs)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        """Gradients of the inputs."""
        grad = settled(grad)
        return _of_gradients(grad, like=grad).backward(grad, *ctx.saved_tensors)


class FirstHalf(torch.autograd.Function):
    """The kernels on the first half of a projection's channels; the second half is returned as it is.

    Both gradients lie in one tensor, as the projection's backward pass needs them: the kernel writes its half there,
    and the other one is copied. A split outside would write both, and then read and write both once more.
    """

    @staticmethod
    def forward(ctx, both, past, weight, bias):
        """SiLU of the first half's convolution, and the second half."""
        x, other = both.chunk(2, dim=-1)
        ctx.save_for_backward(both, past, weight, bias)
        ctx.set_materialize_grads(False)
        return KERNELS[x.device.type].forward(x, past, weight, bias), other

    @staticmethod
    @once_differentiable
    def backward(ctx, grad, grad_other):
        """Gradients of the inputs."""
        both, past, weight, bias = ctx.saved_tensors
        x, other = both.chunk(2, dim=-1)
        grad, grad_other = (None if one is None else settled(one) for one in (grad, grad_other))
        if (kernels := _of_gradients(grad, grad_other, like=x)) is anywhere:  # what fills no part of another tensor
            found = anywhere.backward(torch.zeros_like(x) if grad is None else grad, x, past, weight, bias)
            grad_other = torch.zeros_like(other) if grad_other is None else grad_other
            return torch.cat([found[0], grad_other], dim=-1), *found[1:]
        found = both.new_empty(both.shape)
        first, second = found.chunk(2, dim=-1)
        second.zero_() if grad_other is None else second.copy_(grad_other)
        if grad is None:
            first.zero_()
            return found, None, None, None
        return found, *kernels.backward(grad, x, past, weight, bias, into=first)[1:]


def served(x: Tensor, past: Tensor | None, weight: Tensor, bias: Tensor | None) -> bool:
    """Whether kernels serve such inputs; where they lie on several devices, torch says so."""
    kernels = KERNELS.get(x.device.type)
    if kernels is None or kernels.unavailable(x.device, x.dtype, weight.shape[0], weight.shape[2]) is not None:
        return False
    return all(one is None or one.device == x.device for one in (past, weight, bias))


def _of_gradients(*grads: Tensor | None, like: Tensor) -> ModuleType:
    """What computes gradients: the kernels; torch where incoming ones are batched, or seen by a mode or a compiler."""
    return KERNELS[like.device.type] if eager(*grads) else anywhere


def _choose(*inputs: Tensor | None) -> ModuleType:
    return KERNELS[inputs[0].device.type] if served(*inputs) else anywhere


def _forward(*inputs: Tensor | None) -> Tensor:
    return _choose(*inputs).forward(*inputs)


def _backward(grad: Tensor, *inputs: Tensor | None) -> list[Tensor]:
    return [one for one in _choose(*inputs).backward(grad, *inputs) if one is not None]


def _fake_forward(x, past, weight, bias) -> Tensor:
    return x.new_empty(x.shape)


def _fake_backward(grad, *inputs) -> list[Tensor]:
    return [one.new_empty(one.shape) for one in inputs if one is not None]


def _keep(ctx, inputs, output) -> None:
    ctx.save_for_backward(*inputs)


def _differentiate(ctx, grad: Tensor) -> tuple[Tensor | None, ...]:
    inputs = ctx.saved_tensors
    found = iter(torch.ops.ssm.causal_convolution_backward.default(grad, *inputs))
    return tuple(None if one is None else next(found) for one in inputs)


_library = torch.library.Library("ssm", "FRAGMENT")
for _name, _run, _fake in (
    ("causal_convolution", _forward, _fake_forward),
    ("causal_convolution_backward", _backward, _fake_backward),
):
    _library.define(_name + SCHEMAS[_name])
    _library.impl(_name, _run, "CompositeExplicitAutograd")
    torch.library.register_fake(f"ssm::{_name}", _fake, lib=_library)
torch.library.register_autograd("ssm::causal_convolution", _differentiate, setup_context=_keep, lib=_library)
