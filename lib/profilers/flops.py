"""FLOPs: floating-point operations of a call, a multiply-add counted as two, element-wise work left out.

torch's counter knows matrix products, convolutions and the CUDA attention kernels. It passes in silence
over what FORMULAS adds. Operators that hide matrix products it cannot see into are refused, not counted as zero.
"""

import math
from collections.abc import Callable, Mapping

import torch
from torch.utils.flop_counter import FlopCounterMode

aten = torch.ops.aten


def flops(
    call: Callable[[], object],
    *,
    formulas: Mapping[Callable, Callable[..., int]] | None = None,
    inference: bool = True,
) -> int:
    """Count the operations of one call from the shapes that pass through torch's dispatcher.

    formulas   for operators of your own: operator -> function of the operator's argument shapes and `out_shape`
    inference  run under `torch.inference_mode`; False for training steps, whose backward pass is counted too
    raises     NotImplementedError, naming the operator, where a fused operator hides its matrix products
    """
    counter = FlopCounterMode(display=False, custom_mapping={**FORMULAS, **(formulas or {})})
    with torch.inference_mode(inference), counter:
        call()
    return counter.get_total_flops()


def _fft(shape, dims, *_, out_shape, **__) -> int:
    """5 n log2 n per complex transform of n points (Cooley and Tukey, radix 2)."""
    points = math.prod(shape[dim] for dim in dims)
    return round(5 * math.prod(shape) * math.log2(points))


def _real_fft(shape, dims, *rest, out_shape, **__) -> int:
    """Half of the complex transform of the same real length."""
    return _fft(shape, dims, out_shape=out_shape) // 2


def _inverse_real_fft(shape, dims, *rest, out_shape, **__) -> int:
    return _fft(out_shape, dims, out_shape=out_shape) // 2


def _matrix_vector(matrix, vector, *_, **__) -> int:
    return 2 * math.prod(matrix)


def _add_matrix_vector(added, matrix, vector, *_, **__) -> int:
    return 2 * math.prod(matrix)


def _dot(left, right, *_, **__) -> int:
    return 2 * math.prod(left)


def _add_batched_product(added, left, right, *_, **__) -> int:
    return 2 * math.prod(left) * right[-1]


def _attention(query, key, value, *_, **__) -> int:
    *batch, queries, width = query
    return 2 * math.prod(batch) * queries * key[-2] * (width + value[-1])


def _attention_backward(gradient, query, key, value, *_, **__) -> int:
    """Scores again, then the gradients of values, weights, queries and keys."""
    *batch, queries, width = query
    return 2 * math.prod(batch) * queries * key[-2] * (3 * width + 2 * value[-1])


def _hidden(name: str) -> Callable[..., int]:
    def refuse(*_, **__) -> int:
        raise NotImplementedError(f"{name} is fused: its operations cannot be counted; run the unfused path instead")

    return refuse


_FUSED = ("_transformer_encoder_layer_fwd", "_native_multi_head_attention", "mkldnn_rnn_layer", "_trilinear")

FORMULAS: dict[Callable, Callable[..., int]] = {
    aten._fft_c2c: _fft,
    aten._fft_r2c: _real_fft,
    aten._fft_c2r: _inverse_real_fft,
    aten.mv: _matrix_vector,
    aten.addmv: _add_matrix_vector,
    aten.dot: _dot,
    aten.vdot: _dot,
    aten.addbmm: _add_batched_product,
    aten._scaled_dot_product_flash_attention_for_cpu: _attention,
    aten._scaled_dot_product_flash_attention_for_cpu_backward: _attention_backward,
    **{getattr(aten, name): _hidden(name) for name in _FUSED},
}
