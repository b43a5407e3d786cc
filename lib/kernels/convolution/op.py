"""The convolution with SiLU on a GPU, as operators of torch and as autograd sees it in eager mode.

    ssm::causal_convolution            output; differentiable
    ssm::causal_convolution_backward   gradients of those inputs that are there

Inputs as in `lib.kernels.convolution`; where the kernels cannot serve, the operators run in torch. They are for
compilers and exports. Ordinary eager calls go to the kernels directly: a way through torch's dispatcher costs some 10
microseconds each. A mode that counts what is done to tensors finds torch's own operators, whose formulas it knows.
"""

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from lib.kernels.convolution import cuda
from lib.kernels.convolution import torch as anywhere
from lib.kernels.eager import settled

DEVICE = "cuda"  # elsewhere torch's own operators do it, which compilers and exports know
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
        return cuda.forward(*inputs)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        """Gradients of the inputs."""
        return cuda.backward(settled(grad), *ctx.saved_tensors)


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
        return cuda.forward(x, past, weight, bias), other

    @staticmethod
    @once_differentiable
    def backward(ctx, grad, grad_other):
        """Gradients of the inputs."""
        both, past, weight, bias = ctx.saved_tensors
        found = both.new_empty(both.shape)
        x, _ = both.chunk(2, dim=-1)
        first, second = found.chunk(2, dim=-1)
        second.zero_() if grad_other is None else second.copy_(grad_other)
        if grad is None:
            first.zero_()
            return found, None, None, None
        return found, *cuda.backward(settled(grad), x, past, weight, bias, into=first)[1:]


def served(x: Tensor, past: Tensor | None, weight: Tensor, bias: Tensor | None) -> bool:
    """Whether the kernels serve such inputs; where they lie on several devices, torch says so."""
    if cuda.unavailable(x.device, x.dtype, weight.shape[0], weight.shape[2]) is not None:
        return False
    return all(one is None or one.device == x.device for one in (past, weight, bias))


def _forward(x, past, weight, bias) -> Tensor:
    return (cuda if served(x, past, weight, bias) else anywhere).forward(x, past, weight, bias)


def _backward(grad, x, past, weight, bias) -> list[Tensor]:
    found = (cuda if served(x, past, weight, bias) else anywhere).backward(grad, x, past, weight, bias)
    return [one for one in found if one is not None]


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
