"""The causal depthwise convolution in front of the scan, in the memory layout that the scan likes.

One kernel does all of `convolution_silu`, see `lib.kernels.convolution`; torch where none serves.
Symbols: `lib/__init__.py`; E channels of a block, K taps.
"""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from lib.kernels.convolution import op
from lib.kernels.convolution.torch import (
    convolve,
    convolve_within,
    gradients,
    gradients_within,
    numbered,
    windowed,
)
from lib.kernels.eager import eager, readable
from lib.models.checks import check_dtype, check_shape
from lib.models.ssm.lengths import check_seq_idx
from lib.models.ssm.scan_inputs import FLOATS


def convolution_silu(
    x: Float[Tensor, "B T E"],
    weight: Float[Tensor, "E 1 K"],
    bias: Float[Tensor, " E"] | None = None,
    past: Float[Tensor, "B P E"] | None = None,
    seq_idx: Tensor | None = None,
) -> Float[Tensor, "B T E"]:
    """SiLU of the causal depthwise convolution: output t sees inputs t-K+1 .. t.

    past     the P = K - 1 inputs before the first one; zeros where left out. `last_inputs` are those of the next call
    seq_idx  (B, T), numbers of sequences, see `lib.models.ssm.lengths`: an output sees inputs of its own sequence only.
             The past is that of each row's first one
    raises   ValueError, quoting the shape, for one that does not fit
    """
    _check(x, weight, bias, past)
    past = None if past is None else past.to(x.dtype)
    if seq_idx is not None:
        check_seq_idx(seq_idx, *x.shape[:2], x.device)
        return F.silu(_convolved(windowed(x, past, weight), weight, bias, numbered(seq_idx, weight.shape[2])))
    if x.device.type == op.DEVICE and not readable(x, past, weight, bias):
        return torch.ops.ssm.causal_convolution.default(x, past, weight, bias)
    if eager(x, past, weight, bias) and op.served(x, past, weight, bias):
        return op.Convolution.apply(x, past, weight, bias)
    return F.silu(_convolved(windowed(x, past, weight), weight, bias))


def halves_convolution_silu(
    both: Float[Tensor, "B T F"],
    weight: Float[Tensor, "E 1 K"],
    bias: Float[Tensor, " E"] | None = None,
    past: Float[Tensor, "B P E"] | None = None,
    seq_idx: Tensor | None = None,
) -> tuple[Float[Tensor, "B T E"], Float[Tensor, "B T E"]]:
    """`convolution_silu` of the first half of F = 2 E channels, and the second half, a gate, as it is.

    A kernel's backward pass puts the gradients of both halves where a projection reads them.
    """
    check_shape("both", both, "B", "T", 2 * weight.shape[0])
    x, gate = both.chunk(2, dim=-1)
    if seq_idx is not None:
        return convolution_silu(x, weight, bias, past, seq_idx), gate
    if eager(both, past, weight, bias) and op.served(x, past, weight, bias):
        _check(x, weight, bias, past)
        return op.FirstHalf.apply(both, None if past is None else past.to(both.dtype), weight, bias)
    return convolution_silu(x, weight, bias, past), gate


def last_inputs(
    x: Float[Tensor, "B T E"],
    count: int,
    past: Float[Tensor, "B P E"] | None = None,
    seq_idx: Tensor | None = None,
) -> Float[Tensor, "B P E"]:
    """The last `count` = P inputs, from which a convolution goes on.

    past     the inputs before x; zeros where left out
    seq_idx  (B, T), numbers of sequences: inputs of others than each row's last one count as zeros
    returns  a copy: a view would keep all of x alive
    """
    if seq_idx is not None:
        numbers = numbered(seq_idx, count + 1)[:, -count:] if count else seq_idx[:, :0]
        return last_inputs(x, count, past).where((numbers == seq_idx[:, -1:]).unsqueeze(-1), 0)
    batch, length, channels = x.shape
    if length < count:
        before = x.new_zeros(batch, count, channels) if past is None else past.to(x.dtype)
        return torch.cat([before[:, length:], x], dim=1)
    return x[:, length - count :].clone()


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
    return _convolved(window, weight, bias)


def causal_convolution_step(
    window: Float[Tensor, "B K E"], weight: Float[Tensor, "E 1 K"], bias: Float[Tensor, " E"] | None = None
) -> Float[Tensor, "B E"]:
    """Output of the depthwise convolution at the last of K tokens."""
    out = torch.einsum("bke,ek->be", window, weight[:, 0])
    return out if bias is None else out + bias


class _Convolution(torch.autograd.Function):
    """The convolution by torch, whose gradient of the weights is our own."""

    @staticmethod
    def forward(ctx, window, weight, bias):
        ctx.save_for_backward(window, weight)
        ctx.bias = bias is not None
        return convolve(window, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        return *gradients(grad, *ctx.saved_tensors), grad.sum((0, 1)) if ctx.bias else None


class _Within(torch.autograd.Function):
    """The convolution of each sequence by itself, which keeps its window, not one for each tap."""

    @staticmethod
    def forward(ctx, window, weight, bias, numbers):
        ctx.save_for_backward(window, numbers, weight)
        ctx.bias = bias is not None
        return convolve_within(window, numbers, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        return *gradients_within(grad, *ctx.saved_tensors), grad.sum((0, 1)) if ctx.bias else None, None


def _convolved(window: Tensor, weight: Tensor, bias: Tensor | None, numbers: Tensor | None = None) -> Tensor:
    # Under autocast only the window comes in half precision, and backward needs one dtype.
    inputs = window, weight.to(window.dtype), None if bias is None else bias.to(window.dtype)
    ours = not torch.jit.is_tracing() and not torch._C._are_functorch_transforms_active()  # these take none of ours
    if numbers is not None:
        return _Within.apply(*inputs, numbers) if ours else convolve_within(window, numbers, *inputs[1:])
    return _Convolution.apply(*inputs) if ours else convolve(*inputs)


def _check(x: Tensor, weight: Tensor, bias: Tensor | None, past: Tensor | None) -> None:
    check_shape("weight", weight, "E", 1, "K")
    channels, _, taps = weight.shape
    check_shape("x", x, "B", "T", channels)
    check_dtype("x", x, *FLOATS)
    if bias is not None:
        check_shape("bias", bias, channels)
    if past is not None:
        check_shape("past", past, x.shape[0], taps - 1, channels)
