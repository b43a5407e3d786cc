"""Operations of attention, as torch's fused operators compute it: a mask saves none, and a multiply-add is two.

A formula takes what the operator returned, then its arguments; see `lib.profilers.flop_formulas`.
"""

import math
from collections.abc import Callable


def _attention(result, query, key, value, *_, **__) -> int:
    """Scores and their product with the values, of all pairs of a query and a key: a mask saves none."""
    *batch, queries, width = query.shape
    return 2 * math.prod(batch) * queries * key.shape[-2] * (width + value.shape[-1])


def _attention_backward(result, grad, query, key, value, *_, **__) -> int:
    """Scores again, then the gradients of values, weights, queries and keys."""
    *batch, queries, width = query.shape
    return 2 * math.prod(batch) * queries * key.shape[-2] * (3 * width + 2 * value.shape[-1])


def _flash_packed(result, query, key, value, ends, key_ends, *_, **__) -> int:
    return _packed(query, key, value, ends, key_ends)[0]


def _flash_packed_backward(result, grad, query, key, value, out, logs, ends, key_ends, *_, **__) -> int:
    return _packed(query, key, value, ends, key_ends)[1]


def _efficient_packed(result, query, key, value, bias, ends, key_ends, *_, **__) -> int:
    return _packed(query, key, value, ends, key_ends)[0]


def _efficient_packed_backward(result, grad, query, key, value, bias, out, ends, key_ends, *_, **__) -> int:
    return _packed(query, key, value, ends, key_ends)[1]


def _packed(query, key, value, ends, key_ends) -> tuple[int, int]:
    """Forward and backward, of tensors (B, T, heads, width), or with the sequences of a batch behind each other."""
    if ends is None:
        pairs = math.prod(query.shape[:-3]) * query.shape[-3] * key.shape[-3]
    else:
        pairs = int((ends.diff().long() * key_ends.diff().long()).sum())
    count, widths = pairs * query.shape[-2], (query.shape[-1], value.shape[-1])
    return 2 * count * sum(widths), 2 * count * (3 * widths[0] + 2 * widths[1])


def _multi_head(result, query, key, value, dim, heads, projections, bias, projection, *_, **__) -> int:
    """Projections of queries, keys and values, attention, and the projection of what comes out."""
    *batch, queries, _ = query.shape
    keys, count = key.shape[-2], math.prod(batch)
    projected = queries * projection.numel() + (queries + 2 * keys) * projections.numel() // 3
    return 2 * count * (projected + 2 * queries * keys * dim)


def _encoder_layer(result, x, dim, heads, projections, bias, projection, *given, **__) -> int:
    """Attention, and two matrices that each token is multiplied by."""
    first, second = given[8], given[10]
    attention = _multi_head(result, x, x, x, dim, heads, projections, bias, projection)
    return attention + 2 * math.prod(x.shape[:-1]) * (first.numel() + second.numel())


BY_NAME: dict[Callable[..., int], str] = {
    _attention: "_scaled_dot_product_flash_attention _scaled_dot_product_efficient_attention "
    "_scaled_dot_product_cudnn_attention _scaled_dot_product_flash_attention_for_cpu "
    "_scaled_dot_product_fused_attention_overrideable _scaled_dot_product_attention_math_for_mps",
    _attention_backward: "_scaled_dot_product_flash_attention_backward _scaled_dot_product_cudnn_attention_backward "
    "_scaled_dot_product_efficient_attention_backward _scaled_dot_product_flash_attention_for_cpu_backward "
    "_scaled_dot_product_fused_attention_overrideable_backward",
    _flash_packed: "_flash_attention_forward",
    _flash_packed_backward: "_flash_attention_backward",
    _efficient_packed: "_efficient_attention_forward",
    _efficient_packed_backward: "_efficient_attention_backward",
    _multi_head: "_native_multi_head_attention",
    _encoder_layer: "_transformer_encoder_layer_fwd",
}
