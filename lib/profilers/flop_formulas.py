"""Operations of torch's operators from what goes in and comes out: a multiply-add is two, of complex numbers eight.

A formula takes what the operator returned, then its arguments. torch brings formulas of its own; those here come before
them, where torch's are missing or, as for a grouped convolution's weight gradient, count too much.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from lib.profilers import attention_formulas as attention

aten = torch.ops.aten


def held(x: Tensor) -> int:
    """Numbers that a tensor holds: all of its shape, or of a sparse one those that are stored."""
    if x.layout == torch.sparse_coo:
        return x._nnz() * math.prod(x.shape[x.sparse_dim() :])
    return x.values().numel() if x.layout in SPARSE else x.numel()


def product(left: Tensor, right: Tensor) -> int:
    """Of matrices (..., M, K) and (..., K, N), one of which may be sparse; numbers of 4 bits lie in pairs."""
    if left.layout in SPARSE and right.layout in SPARSE:
        raise NotImplementedError("what a product of two sparse matrices takes depends on where their numbers meet")
    stored, times = (right, left.shape[-2]) if right.layout in SPARSE else (left, right.shape[-1])
    pairs = 2 if left.dtype is getattr(torch, "float4_e2m1fn_x2", None) else 1
    return pairs * multiply_adds(held(stored) * times, left)


def multiply_adds(count: int, of: Tensor) -> int:
    """Operations of so many multiply-adds of numbers such as a tensor holds."""
    return (8 if of.is_complex() else 2) * count


def _mm(result, left, right, *_, **__) -> int:
    return product(left, right)


def _addmm(result, added, left, right, *_, **__) -> int:
    return product(left, right)


def _mv(result, matrix, vector, *_, **__) -> int:
    return multiply_adds(held(matrix), matrix)


def _addmv(result, added, matrix, vector, *_, **__) -> int:
    return multiply_adds(held(matrix), matrix)


def _dot(result, left, right, *_, **__) -> int:
    return multiply_adds(left.numel(), left)


def _addr(result, added, left, right, *_, **__) -> int:
    return multiply_adds(left.numel() * right.numel(), left)


def _foreach_mm(result, lefts, rights, *_, **__) -> int:
    return sum(map(product, lefts, rights))


def _grouped_mm(result, left, right, *given, offs=None, **__) -> int:
    """One product a group: where a matrix holds the rows or columns of all groups, `offs` says where each ends."""
    return _grouped(result, left, right, given[0] if given else offs)


def _scaled_grouped_mm(result, left, right, scale_left, scale_right, *given, offs=None, **__) -> int:
    return _grouped(result, left, right, given[0] if given else offs)


def _grouped(result, left, right, ends) -> int:
    if left.ndim == right.ndim == 3:
        return product(left, right)
    # What lies behind the last end is not computed. The axis that the groups share: rows, columns, or what is summed.
    shared = left.shape[0] if left.ndim == 2 and right.ndim == 3 else right.shape[-1]
    if left.ndim == right.ndim == 2:
        shared = left.shape[-1]
    used = shared if ends is None or ends.is_meta or ends.numel() == 0 else min(int(ends[-1]), shared)
    if left.ndim == right.ndim == 2:
        return multiply_adds(left.shape[0] * used * right.shape[-1], left)
    rows, columns = (used, right.shape[-1]) if left.ndim == 2 else (left.shape[-2], used)
    return multiply_adds(rows * columns * left.shape[-1], left)


def _by_inner(result, x, *_, **__) -> int:
    """Of a product with a packed matrix, whose shape is not the matrix's: each output sums over the last axis."""
    return 2 * result.numel() * x.shape[-1]


def _trilinear(result, first, second, third, expand1, expand2, expand3, *_, **__) -> int:
    """Two products and a sum for every index that any of three tensors has."""
    views = [list(x.shape) for x in (first, second, third)]
    for shape, axes in zip(views, (expand1, expand2, expand3), strict=True):
        for axis in axes:
            shape.insert(axis, 1)
    return 3 * math.prod(map(max, zip(*views, strict=True)))


def _distances(result, left, right, *_, **__) -> int:
    """A difference, its power and a sum for each pair of rows and each column."""
    return 3 * result.numel() * left.shape[-1]


def _convolution(result, x, weight, *_, **__) -> int:
    """Each number that comes out sums over the weights of its channel."""
    return multiply_adds(result.numel() * math.prod(weight.shape[1:]), x)


def _any_convolution(result, x, weight, bias, stride, padding, dilation, transposed, *_, **__) -> int:
    """Transposed, each number that goes in is multiplied by the weights of its channel."""
    return _convolution(x if transposed else result, x, weight)


def _transposed_convolution(result, x, weight, *_, **__) -> int:
    return _convolution(x, x, weight)


def _convolution_backward(
    result, grad, x, weight, sizes, stride, padding, dilation, transposed, shift, groups, mask
) -> int:
    """As many as forward for the input's gradient, and as many for the weight's, in any number of groups."""
    return sum(mask[:2]) * _convolution(x if transposed else grad, x, weight)


def _convolution_of_time(result, x, weight, *_, **__) -> int:
    """Of x (T, B, C) and weight (K, C, out)."""
    return 2 * result.numel() * math.prod(weight.shape[:2])


def _rnn(result, x, weights, *_, **__) -> int:
    """Each matrix once a token, whatever gates, layers and directions there are."""
    return _recurrent(x, weights)


def _rnn_backward(result, x, weights, *_, **__) -> int:
    return 2 * _recurrent(x, weights)


def _rnn_layer(result, x, inner, outer, *_, **__) -> int:
    return _recurrent(x, (inner, outer))


def _rnn_layer_backward(result, x, inner, outer, *_, **__) -> int:
    return 2 * _recurrent(x, (inner, outer))


def _recurrent(x, weights) -> int:
    return 2 * math.prod(x.shape[:-1]) * sum(weight.numel() for weight in weights if weight.ndim == 2)


def _fft(result, x, dims, *_, **__) -> int:
    """5 n log2 n per complex transform of n points (Cooley and Tukey, radix 2)."""
    return _fourier(x, dims)


def _real_fft(result, x, dims, *_, **__) -> int:
    """Half of the complex transform of the same real length."""
    return _fourier(x, dims) // 2


def _inverse_real_fft(result, x, dims, *_, **__) -> int:
    return _fourier(result, dims) // 2


def _fourier(x, dims) -> int:
    points = math.prod(x.shape[dim] for dim in dims)
    return round(5 * x.numel() * math.log2(points)) if points else 0


SPARSE = (torch.sparse_coo, torch.sparse_csr, torch.sparse_csc, torch.sparse_bsr, torch.sparse_bsc)
_BY_NAME: dict[Callable[..., int], str] = {
    _mm: "mm bmm _int_mm _scaled_mm _scaled_mm_v2 hspmm",
    _addmm: "addmm baddbmm addbmm _addmm_activation _sparse_addmm sspaddmm",
    _mv: "mv",
    _addmv: "addmv",
    _dot: "dot vdot",
    _addr: "addr",
    _foreach_mm: "_foreach_mm",
    _grouped_mm: "_grouped_mm",
    _scaled_grouped_mm: "_scaled_grouped_mm",
    _by_inner: "mkldnn_linear _weight_int4pack_mm _weight_int4pack_mm_for_cpu _weight_int8pack_mm "
    "_weight_int4pack_mm_with_scales_and_zeros _mixed_dtypes_linear _dyn_quant_matmul_4bit",
    _trilinear: "_trilinear",
    _distances: "_cdist_forward",
    _any_convolution: "convolution _convolution convolution_overrideable",
    _convolution: "mkldnn_convolution cudnn_convolution cudnn_convolution_relu cudnn_convolution_add_relu "
    "miopen_convolution miopen_depthwise_convolution _conv_depthwise2d conv_depthwise3d _slow_conv2d_forward "
    "slow_conv3d_forward slow_conv_dilated2d slow_conv_dilated3d _nnpack_spatial_convolution",
    _transposed_convolution: "cudnn_convolution_transpose slow_conv_transpose2d slow_conv_transpose3d "
    "miopen_convolution_transpose",
    _convolution_backward: "convolution_backward",
    _convolution_of_time: "conv_tbc",
    _rnn: "_cudnn_rnn miopen_rnn",
    _rnn_backward: "_cudnn_rnn_backward miopen_rnn_backward",
    _rnn_layer: "mkldnn_rnn_layer",
    _rnn_layer_backward: "mkldnn_rnn_layer_backward",
    _fft: "_fft_c2c",
    _real_fft: "_fft_r2c",
    _inverse_real_fft: "_fft_c2r",
}
FORMULAS: dict[Callable, Callable[..., int]] = {
    getattr(aten, form): formula
    for formula, names in (_BY_NAME | attention.BY_NAME).items()
    for name in names.split()
    for form in (name, f"{name}_")  # in place, too
    if hasattr(aten, form)  # not in every release
}
_QUANTISED = "linear linear_relu linear_dynamic linear_relu_dynamic linear_dynamic_fp16 linear_relu_dynamic_fp16"
FORMULAS |= {
    getattr(torch.ops.quantized, name): _by_inner for name in _QUANTISED.split() if hasattr(torch.ops.quantized, name)
}
