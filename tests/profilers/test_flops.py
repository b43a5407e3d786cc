"""Counted operations against closed forms."""

import pytest
import torch
from torch.nn import functional as F

from lib.profilers.flops import flops


def rand(*shape):
    return torch.rand(*shape, requires_grad=True)


CLOSED_FORMS = {
    "matrix product": (lambda: rand(3, 4) @ rand(4, 5), 2 * 3 * 4 * 5),
    "linear with bias": (lambda: torch.nn.Linear(4, 5)(rand(2, 3, 4)), 2 * 6 * 4 * 5),
    "depthwise convolution": (lambda: F.conv1d(rand(2, 6, 10), rand(6, 1, 3), groups=6), 2 * 2 * 6 * 8 * 3),
    "matrix and vector": (lambda: rand(3, 4) @ rand(4), 2 * 3 * 4),
    "added matrix and vector": (lambda: torch.addmv(rand(3), rand(3, 4), rand(4)), 2 * 3 * 4),
    "dot": (lambda: rand(7) @ rand(7), 2 * 7),
    "summed batch of products": (lambda: torch.addbmm(rand(3, 5), rand(2, 3, 4), rand(2, 4, 5)), 2 * 2 * 3 * 4 * 5),
    "complex Fourier transform": (lambda: torch.fft.fft(rand(3, 8) + 0j), 5 * 3 * 8 * 3),
    "real Fourier transform": (lambda: torch.fft.rfft(rand(3, 8)), 5 * 3 * 8 * 3 // 2),
    "inverse real Fourier transform": (lambda: torch.fft.irfft(torch.fft.rfft(rand(3, 8))), 5 * 3 * 8 * 3),
    "attention": (
        lambda: F.scaled_dot_product_attention(rand(2, 3, 5, 8), rand(2, 3, 7, 8), rand(2, 3, 7, 4)),
        2 * 6 * 5 * 7 * (8 + 4),
    ),
    "element-wise work": (lambda: rand(9).sigmoid() * 2, 0),
}


@pytest.mark.parametrize("name", CLOSED_FORMS)
def test_the_count_is_the_closed_form(name):
    call, expected = CLOSED_FORMS[name]
    assert flops(call, inference=False) == expected


def test_inference_mode_counts_the_same():
    layer, x = torch.nn.Linear(4, 5), torch.rand(2, 3, 4)
    assert flops(lambda: layer(x)) == flops(lambda: layer(x), inference=False) == 2 * 6 * 4 * 5


def test_the_backward_pass_of_attention_is_two_and_a_half_forward_passes():
    q = rand(2, 3, 7, 8)
    forward = flops(lambda: F.scaled_dot_product_attention(q, q, q), inference=False)
    both = flops(lambda: F.scaled_dot_product_attention(q, q, q).sum().backward(), inference=False)
    assert both == 3.5 * forward


def test_a_fused_layer_is_refused_and_not_counted_as_zero():
    layer = torch.nn.TransformerEncoderLayer(16, 2, batch_first=True).eval()
    with pytest.raises(NotImplementedError, match="_transformer_encoder_layer_fwd is fused"):
        flops(lambda: layer(torch.rand(2, 5, 16)))


def test_an_operator_of_ones_own_brings_its_formula():
    x = torch.rand(3, 4)
    counted = flops(lambda: x.cumsum(1), formulas={torch.ops.aten.cumsum: lambda shape, *_, **__: shape[0] * shape[1]})
    assert counted == 12
