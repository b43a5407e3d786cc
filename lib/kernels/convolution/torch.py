"""The causal depthwise convolution by torch, on any device, in any dtype, of any number of taps."""

import torch
from torch import Tensor
from torch.nn import functional as F


def forward(x: Tensor, past: Tensor | None, weight: Tensor, bias: Tensor | None) -> Tensor:
    """SiLU of the convolution, see `lib.kernels.convolution`."""
    return F.silu(_sums(x, past, weight, bias)).contiguous()


def backward(
    grad: Tensor, x: Tensor, past: Tensor | None, weight: Tensor, bias: Tensor | None
) -> tuple[Tensor, Tensor | None, Tensor, Tensor | None]:
    """Gradients of x, past, weight and bias; None for an input that is None."""
    grad = torch.ops.aten.silu_backward(grad, _sums(x, past, weight, bias))
    window, before = windowed(x, past, weight), weight.shape[2] - 1
    grad_window, grad_weight = gradients(grad, window, weight.to(x.dtype))
    return (
        grad_window[:, before:].contiguous(),
        None if past is None else grad_window[:, :before].contiguous(),
        grad_weight.to(weight.dtype),
        None if bias is None else grad.sum((0, 1)).to(bias.dtype),
    )


def windowed(x: Tensor, past: Tensor | None, weight: Tensor) -> Tensor:
    """x behind the K - 1 inputs before it."""
    if past is None:
        past = x.new_zeros(x.shape[0], weight.shape[2] - 1, x.shape[2])
    return torch.cat([past, x], dim=1)


def convolve(x: Tensor, weight: Tensor, bias: Tensor | None = None, padding: int = 0) -> Tensor:
    """Depthwise convolution over time: conv1d wants (B, E, T) and would copy; a channels-last image of height 1 is
    (B, T, E) in memory as it is.
    """
    image = x.transpose(1, 2).unsqueeze(2)
    return F.conv2d(image, weight.unsqueeze(2), bias, padding=(0, padding), groups=len(weight)).squeeze(2).mT


def gradients(grad: Tensor, window: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Gradients of window and weight of `convolve(window, weight, bias)`.

    That of the weights is K products, each summed over the tokens: on a CPU, less work than torch's own.
    """
    taps, length = weight.shape[2], grad.shape[1]
    grad_weight = torch.stack([(grad * window[:, k : k + length]).sum((0, 1)) for k in range(taps)], dim=-1)
    return convolve(grad, weight.flip(-1), padding=taps - 1), grad_weight.unsqueeze(1)


def _sums(x: Tensor, past: Tensor | None, weight: Tensor, bias: Tensor | None) -> Tensor:
    return convolve(windowed(x, past, weight), weight.to(x.dtype), None if bias is None else bias.to(x.dtype))
