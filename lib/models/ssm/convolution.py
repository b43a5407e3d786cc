"""The causal depthwise convolution in front of the scan, in the memory layout that the scan likes.

Symbols: `lib/__init__.py`; E channels of a block.
"""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from lib.models.checks import check_shape


def causal_convolution(
    window: Float[Tensor, "B S E"], weight: Float[Tensor, "E 1 K"], bias: Float[Tensor, " E"] | None = None
) -> Float[Tensor, "B T E"]:
    """Depthwise convolution of K taps with S = T + K - 1 tokens, without padding: output t sees inputs t .. t+K-1.

    raises   ValueError, quoting the shape, for a window of less than K tokens, and for other axes
    """
    check_shape("weight", weight, "E", 1, "K")
    channels, _, taps = weight.shape
    check_shape("window", window, "B", "S", channels, S=taps)
    if bias is not None:
        check_shape("bias", bias, channels)
    # Under autocast only the window comes in half precision, and backward needs one dtype.
    return _Convolution.apply(window, weight.to(window.dtype), None if bias is None else bias.to(window.dtype))


def causal_convolution_step(
    window: Float[Tensor, "B K E"], weight: Float[Tensor, "E 1 K"], bias: Float[Tensor, " E"] | None = None
) -> Float[Tensor, "B E"]:
    """Output of the depthwise convolution at the last of K tokens."""
    out = torch.einsum("bke,ek->be", window, weight[:, 0])
    return out if bias is None else out + bias


class _Convolution(torch.autograd.Function):
    """conv1d wants (B, E, T) and would copy; a channels-last image of height 1 is (B, T, E) in memory as it is.

    The gradient of the weights is K products, each summed over the tokens: on a CPU, less work than torch's own.
    """

    @staticmethod
    def forward(ctx, window, weight, bias):
        ctx.save_for_backward(window, weight)
        ctx.bias = bias is not None
        return _convolve(window, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        window, weight = ctx.saved_tensors
        taps, length = weight.shape[2], grad.shape[1]
        grad_weight = torch.stack([(grad * window[:, k : k + length]).sum((0, 1)) for k in range(taps)], dim=-1)
        grad_window = _convolve(grad, weight.flip(-1), padding=taps - 1)
        return grad_window, grad_weight.unsqueeze(1), grad.sum((0, 1)) if ctx.bias else None


def _convolve(x: Tensor, weight: Tensor, bias: Tensor | None = None, padding: int = 0) -> Tensor:
    image = x.transpose(1, 2).unsqueeze(2)
    return F.conv2d(image, weight.unsqueeze(2), bias, padding=(0, padding), groups=len(weight)).squeeze(2).mT
