"""Counted operations against closed forms."""

import threading

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from lib.profilers.flops import flops


def rand(*shape):
    return torch.rand(*shape, requires_grad=True)


def ends(*numbers):
    return torch.tensor(numbers, dtype=torch.int32)


def half(*shape):
    return torch.rand(*shape).bfloat16()


def quantised():
    return torch.ao.quantization.quantize_dynamic(nn.Sequential(nn.Linear(4, 5)), {nn.Linear})


CLOSED_FORMS = {
    "matrix product": (lambda: rand(3, 4) @ rand(4, 5), 2 * 3 * 4 * 5),
    "linear with bias": (lambda: nn.Linear(4, 5)(rand(2, 3, 4)), 2 * 6 * 4 * 5),
    "into a given place": (lambda: torch.mm(*torch.rand(2, 3, 3), out=torch.empty(3, 3)), 2 * 27),
    "batch of products": (lambda: torch.bmm(rand(2, 3, 4), rand(2, 4, 5)), 2 * 2 * 3 * 4 * 5),
    "added to in place": (lambda: torch.zeros(2, 3, 5).baddbmm_(rand(2, 3, 4), rand(2, 4, 5)).sum(), 2 * 2 * 3 * 4 * 5),
    "summed batch of products": (lambda: torch.addbmm(rand(3, 5), rand(2, 3, 4), rand(2, 4, 5)), 2 * 2 * 3 * 4 * 5),
    "sum of products": (lambda: torch.einsum("bij,bkj->bik", rand(2, 3, 4), rand(2, 5, 4)), 2 * 2 * 3 * 4 * 5),
    "axes contracted": (lambda: torch.tensordot(rand(2, 3, 4), rand(3, 4, 5), 2), 2 * 2 * 12 * 5),
    "matrix and vector": (lambda: rand(3, 4) @ rand(4), 2 * 3 * 4),
    "added matrix and vector": (lambda: torch.addmv(rand(3), rand(3, 4), rand(4)), 2 * 3 * 4),
    "dot": (lambda: rand(7) @ rand(7), 2 * 7),
    "added outer product": (lambda: torch.addr(rand(3, 4), rand(3), rand(4)), 2 * 3 * 4),
    "complex product": (lambda: (rand(3, 4) + 0j) @ (rand(4, 5) + 0j), 8 * 3 * 4 * 5),
    "integers": (lambda: torch._int_mm(*torch.ones(2, 32, 32, dtype=torch.int8)), 2 * 32**3),
    "quantised": (lambda: quantised()(torch.rand(3, 4)), 2 * 3 * 4 * 5),
    "bilinear": (lambda: nn.Bilinear(3, 4, 5)(rand(2, 3), rand(2, 4)), 3 * 2 * 5 * 3 * 4),
    "sparse by dense": (lambda: torch.eye(6).to_sparse() @ torch.rand(6, 5), 2 * 6 * 5),
    "sparse rows by dense": (lambda: torch.eye(6).to_sparse_csr() @ torch.rand(6, 5), 2 * 6 * 5),
    "sparse and vector": (lambda: torch.eye(6).to_sparse_csr() @ torch.rand(6), 2 * 6),
    "groups of rows": (lambda: torch._grouped_mm(half(8, 16), half(2, 16, 32), offs=ends(3, 8)), 2 * 8 * 16 * 32),
    "fewer rows than there are": (
        lambda: torch._grouped_mm(half(8, 16), half(2, 16, 32), offs=ends(3, 5)),
        2 * 5 * 16 * 32,
    ),
    "groups of columns": (lambda: torch._grouped_mm(half(2, 4, 16), half(16, 32), offs=ends(8, 32)), 2 * 4 * 16 * 32),
    "groups of what is summed": (
        lambda: torch._grouped_mm(half(8, 32), half(32, 16), offs=ends(8, 32)),
        2 * 8 * 32 * 16,
    ),
    "convolution": (lambda: F.conv2d(rand(2, 3, 8, 8), rand(5, 3, 3, 3), stride=2), 2 * 2 * 5 * 9 * 27),
    "depthwise convolution": (lambda: F.conv1d(rand(2, 6, 10), rand(6, 1, 3), groups=6), 2 * 2 * 6 * 8 * 3),
    "padded and dilated": (lambda: F.conv1d(rand(1, 2, 9), rand(4, 2, 3), padding=2, dilation=2), 2 * 4 * 9 * 6),
    "transposed": (lambda: F.conv_transpose1d(rand(2, 3, 7), rand(3, 5, 4), stride=2), 2 * 2 * 3 * 7 * 5 * 4),
    "over time": (lambda: torch.conv_tbc(rand(9, 2, 3), rand(4, 3, 5), rand(5), 0), 2 * 6 * 2 * 5 * 4 * 3),
    "complex Fourier transform": (lambda: torch.fft.fft(rand(3, 8) + 0j), 5 * 3 * 8 * 3),
    "real Fourier transform": (lambda: torch.fft.rfft(rand(3, 8)), 5 * 3 * 8 * 3 // 2),
    "inverse real Fourier transform": (lambda: torch.fft.irfft(torch.fft.rfft(rand(3, 8))), 5 * 3 * 8 * 3),
    "Fourier transform of nothing": (lambda: torch.fft.fft(torch.zeros(0, 8, device="meta") + 0j), 0),
    "attention": (
        lambda: F.scaled_dot_product_attention(rand(2, 3, 5, 8), rand(2, 3, 7, 8), rand(2, 3, 7, 4)),
        2 * 6 * 5 * 7 * (8 + 4),
    ),
    "few keys for many heads": (
        lambda: F.scaled_dot_product_attention(rand(2, 6, 5, 8), *[rand(2, 3, 5, 8)] * 2, enable_gqa=True),
        2 * 12 * 25 * 16,
    ),
    "LSTM of two layers": (lambda: nn.LSTM(4, 6, 2)(torch.rand(5, 3, 4)), 2 * 15 * 24 * (4 + 6 + 6 + 6)),
    "GRU both ways": (lambda: nn.GRU(4, 6, bidirectional=True)(torch.rand(5, 3, 4)), 2 * 2 * 15 * 18 * (4 + 6)),
    "distances": (lambda: torch.cdist(torch.rand(3, 7), torch.rand(5, 7), p=1), 3 * 3 * 5 * 7),
    "vmap": (lambda: torch.vmap(lambda row: row @ torch.ones(4, 5))(torch.rand(3, 4)), 2 * 3 * 4 * 5),
    "element-wise work": (lambda: rand(9).sigmoid() * 2, 0),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore")  # of formats that torch calls experimental or old
@pytest.mark.parametrize("inference", [True, False])
@pytest.mark.parametrize("name", CLOSED_FORMS)
def test_the_count_is_the_closed_form(name, inference):
    call, expected = CLOSED_FORMS[name]
    assert flops(call, inference=inference) == expected


def test_the_backward_pass_of_attention_is_two_and_a_half_forward_passes():
    q = rand(2, 3, 7, 8)
    forward = flops(lambda: F.scaled_dot_product_attention(q, q, q), inference=False)
    both = flops(lambda: F.scaled_dot_product_attention(q, q, q).sum().backward(), inference=False)
    assert both == 3.5 * forward


@pytest.mark.parametrize("groups", [1, 2, 6])
@pytest.mark.parametrize("convolution", [F.conv1d, F.conv_transpose1d])
def test_the_backward_pass_of_a_convolution_is_two_forward_passes_in_any_number_of_groups(convolution, groups):
    x, weight = rand(2, 6, 10), rand(6, 6 // groups, 3)
    forward = flops(lambda: convolution(x, weight, groups=groups), inference=False)
    both = flops(lambda: convolution(x, weight, groups=groups).sum().backward(), inference=False)
    assert both == 3 * forward > 0


def test_the_backward_pass_of_a_recurrent_layer_is_two_forward_passes():
    layer, x = nn.LSTM(4, 6), rand(5, 3, 4)
    forward = flops(lambda: layer(x), inference=False)
    assert flops(lambda: layer(x)[0].sum().backward(), inference=False) == 3 * forward


def test_what_a_checkpoint_computes_again_is_counted_again():
    layer, x = nn.Linear(4, 4), rand(3, 4)
    forward, plain = 2 * 3 * 16, 3 * 2 * 3 * 16
    assert flops(lambda: layer(x).sum().backward(), inference=False) == plain
    again = flops(lambda: checkpoint(layer, x, use_reentrant=True).sum().backward(), inference=False)
    assert again == plain + forward


def test_a_fused_encoder_counts_what_the_same_layer_does_unfused():
    layer = nn.TransformerEncoderLayer(16, 2, dim_feedforward=24, dropout=0, batch_first=True)
    x = torch.rand(2, 5, 16)
    unfused = flops(lambda: layer(x), inference=False)
    by_hand = 2 * 10 * (4 * 16 * 16 + 2 * 16 * 24) + 4 * 2 * 5 * 5 * 16
    assert flops(lambda: layer.eval()(x)) == unfused == by_hand


def test_fused_attention_over_other_keys_counts_what_it_does_unfused():
    layer, x, keys = nn.MultiheadAttention(16, 2, batch_first=True).eval(), torch.rand(2, 5, 16), torch.rand(2, 7, 16)
    by_hand = 2 * 2 * (5 + 2 * 7 + 5) * 16 * 16 + 4 * 2 * 5 * 7 * 16
    assert flops(lambda: layer(x, keys, keys)) == by_hand
    assert flops(lambda: layer(x, x, x)) == 2 * 10 * 4 * 256 + 4 * 2 * 25 * 16


def test_work_in_threads_that_a_call_starts_is_counted():
    def call():
        threads = [threading.Thread(target=lambda: torch.ones(3, 3) @ torch.ones(3, 3)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    start = threading.Thread.start
    assert flops(call) == 4 * 2 * 27
    assert threading.Thread.start is start


def test_a_scripted_function_is_counted_cold_and_warm():
    scripted = torch.jit.trace(nn.Linear(4, 5), torch.rand(3, 4))
    assert [flops(lambda: scripted(torch.rand(3, 4)), inference=False) for _ in range(3)] == [2 * 3 * 4 * 5] * 3


def test_counting_changes_no_result_and_leaves_no_mode():
    x, kept = torch.rand(3, 3), []
    flops(lambda: kept.append(x @ x), inference=False)
    assert torch.equal(kept[0], x @ x)
    assert torch._C._len_torch_dispatch_stack() == 0
