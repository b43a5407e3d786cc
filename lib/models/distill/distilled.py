"""Inputs and results of every method of kernel distillation. Symbols: `lib/__init__.py`."""

import copy
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from lib.models.checks import check_count, check_dtype, check_finite, check_shape, check_tensor
from lib.models.distill.modes import LAYERS, Modes
from lib.models.ssm.s4d import S4D
from lib.models.ssm.s5 import S5

LONGEST = 2**22  # taps of a kernel, which is computed in double precision
Source = S4D | Modes | S5 | Float[Tensor, "D L"] | Float[Tensor, "L D D"]


@dataclass(frozen=True)
class Distilled:
    """A bank of long kernels in a smaller form.

    method      the name of the function that made it
    order       as given: a rank, a number of taps, or a number of real states per channel
    achieved    by channel: less than the order where the kernel has no more in it, or where half of a pair would fit
    parameters  numbers stored instead of the kernel, without the skip
    bytes       that they take
    error       by (output) channel: the 2-norm of what is lost of the L taps, relative to that of the taps
    module      (B, T, D) -> (B, T, D), ready to run instead of the layer, in its dtype and on its device
    """

    method: str
    order: int
    achieved: Int[Tensor, " D"]
    parameters: int
    bytes: int
    error: Float[Tensor, " D"]
    module: nn.Module


def taken(source: Source, length: int, dense: bool = False) -> tuple[Tensor, Tensor]:
    """Kernel and skip of a layer, or of a bank, whose skip is zero.

    length   taps of a layer's kernel; a bank has its own
    dense    whether a kernel (L, D, D), of a convolution that mixes channels, is allowed: taps, outputs, inputs
    returns  the kernel in float64 on a CPU; the skip (D,) as the distilled module is to hold it
    raises   ValueError, quoting the value, for a kernel that is empty, not finite, of other axes or without values, and
             for a length below 1 or above four million
    """
    check_count("length", length, 1, LONGEST)
    if isinstance(source, LAYERS) or (dense and isinstance(source, S5)):
        kernel, skip = copy.deepcopy(source).double().kernel(length), source.skip
    else:
        check_tensor("kernel", source)
        mixes = dense and source.ndim == 3
        check_shape("kernel", source, *(("L", *[source.shape[1] or "D"] * 2) if mixes else ("D", "L")))
        check_dtype("kernel", source, torch.float32, torch.float64)
        kernel, skip = source, source.new_zeros(source.shape[1 if mixes else 0])
    check_finite("kernel", kernel)
    if kernel.is_meta:
        raise ValueError("kernel on meta: it holds no values to reduce")
    return kernel.detach().cpu().double(), skip.detach()


def distilled(
    method: str, order: int, achieved: Int[Tensor, " D"], module: nn.Module, kernel: Float[Tensor, "..."]
) -> Distilled:
    """Measure a module: its size, and its error against the kernel (D, L) or (L, D, D) that it stands for."""
    stored = [tensor for name, tensor in module.state_dict().items() if name != "skip"]
    length, axes = (kernel.shape[1], 1) if kernel.ndim == 2 else (len(kernel), (0, 2))
    scale = unit(kernel, axes)
    lost = (module.kernel(length).detach().cpu().double() - kernel) / scale
    whole = torch.linalg.vector_norm(kernel / scale, dim=axes)
    error = torch.linalg.vector_norm(lost, dim=axes) / whole.where(whole > 0, 1)
    parameters, size = sum(tensor.numel() for tensor in stored), sum(tensor.nbytes for tensor in stored)
    return Distilled(method, order, achieved, parameters, size, error, module)


def unit(kernel: Float[Tensor, "..."], axes: int | tuple[int, ...]) -> Float[Tensor, "..."]:
    """Scale of kernels, their largest tap, so that no square over- or underflows; one where all taps are zero."""
    largest = kernel.abs().amax(axes, keepdim=True)
    return largest.where(largest > 0, 1)
