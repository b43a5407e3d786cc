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


def numbered(seq_idx: Tensor, taps: int) -> Tensor:
    """Numbers (B, S) of the sequences of a window's tokens, of which the first K - 1 are of each row's first one."""
    return torch.cat([seq_idx[:, :1].expand(-1, taps - 1), seq_idx], dim=1)


def convolve_within(window: Tensor, numbers: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """`convolve` of each sequence by itself: a tap sees zeros where the token is of another number."""
    length = window.shape[1] - weight.shape[2] + 1
    total = torch.promote_types(window.dtype, torch.float32)
    out = 0 if bias is None else bias.to(total)
    for k, row in enumerate(weight[:, 0].to(total).unbind(1)):
        out = out + row * _tap(window, numbers, k, length).to(total)
    return out.to(window.dtype)


def gradients_within(grad: Tensor, window: Tensor, numbers: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Gradients of window and weight of `convolve_within(window, numbers, weight, bias)`."""
    length, total = grad.shape[1], torch.promote_types(window.dtype, torch.float32)
    grad, grad_weight = grad.to(total), []
    grad_window = torch.zeros_like(window, dtype=total)
    for k, row in enumerate(weight[:, 0].to(total).unbind(1)):
        grad_weight.append((grad * _tap(window, numbers, k, length).to(total)).sum((0, 1)))
        grad_window[:, k : k + length] += (row * grad).where(_same(numbers, k, length), 0)
    return grad_window.to(window.dtype), torch.stack(grad_weight, dim=-1).unsqueeze(1).to(weight.dtype)


def _tap(window: Tensor, numbers: Tensor, k: int, length: int) -> Tensor:
    return window[:, k : k + length].where(_same(numbers, k, length), 0)  # a product would let infinities through


def _same(numbers: Tensor, k: int, length: int) -> Tensor:
    return (numbers[:, k : k + length] == numbers[:, -length:]).unsqueeze(-1)


def gradients(grad: Tensor, window: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Gradients of window and weight of `convolve(window, weight, bias)`.

    That of the weights is K products, each summed over the tokens: on a CPU, less work than torch's own.
    """
    taps, length = weight.shape[2], grad.shape[1]
    grad_weight = torch.stack([(grad * window[:, k : k + length]).sum((0, 1)) for k in range(taps)], dim=-1)
    return convolve(grad, weight.flip(-1), padding=taps - 1), grad_weight.unsqueeze(1)


def _sums(x: Tensor, past: Tensor | None, weight: Tensor, bias: Tensor | None) -> Tensor:
    return convolve(windowed(x, past, weight), weight.to(x.dtype), None if bias is None else bias.to(x.dtype))
