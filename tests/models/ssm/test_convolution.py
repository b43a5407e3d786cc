"""The causal convolution against torch's, and what it refuses."""

import pytest
import torch
from refusals import refused
from torch.nn import functional as F
from torch.testing import assert_close

from lib.models.ssm.convolution import causal_convolution, convolution_silu, halves_convolution_silu


@pytest.mark.parametrize("taps", [1, 4, 9])
@pytest.mark.parametrize("biased", [True, False])
def test_the_convolution_and_its_gradients_are_those_of_conv1d(taps, biased, generator):
    def random(*shape):
        return torch.randn(shape, generator=generator, dtype=torch.float64, requires_grad=True)

    window, weight, bias = random(2, 6 + taps - 1, 5), random(5, 1, taps), random(5) if biased else None
    inputs = [x for x in (window, weight, bias) if x is not None]
    ours = causal_convolution(window, weight, bias)
    theirs = F.conv1d(window.transpose(1, 2), weight, bias, groups=5).transpose(1, 2)
    grad = torch.randn(theirs.shape, generator=generator, dtype=torch.float64)
    assert_close(ours, theirs)
    assert_close(torch.autograd.grad(ours, inputs, grad), torch.autograd.grad(theirs, inputs, grad))


@pytest.mark.parametrize(
    ("window", "weight", "bias", "message"),
    [
        ((2, 3, 5), (5, 1, 4), (5,), "window of shape (2, 3, 5): (B, S, 5) with B >= 1 and S >= 4 is needed"),
        ((2, 9, 6), (5, 1, 4), (5,), "window of shape (2, 9, 6): (B, S, 5) with B >= 1 and S >= 4 is needed"),
        ((9, 5), (5, 1, 4), (5,), "window of shape (9, 5): (B, S, 5) with B >= 1 and S >= 4 is needed"),
        ((2, 9, 5), (5, 4), (5,), "weight of shape (5, 4): (E, 1, K) with E >= 1 and K >= 1 is needed"),
        ((2, 9, 5), (5, 5, 4), (5,), "weight of shape (5, 5, 4): (E, 1, K) with E >= 1 and K >= 1 is needed"),
        ((2, 9, 5), (5, 1, 4), (4,), "bias of shape (4,): (5,) is needed"),
    ],
)
def test_a_shape_that_does_not_fit_is_quoted(window, weight, bias, message):
    with refused(message):
        causal_convolution(torch.zeros(window), torch.zeros(weight), torch.zeros(bias))


def test_a_window_of_as_many_tokens_as_taps_gives_one():
    assert causal_convolution(torch.ones(2, 4, 5), torch.ones(5, 1, 4)).eq(4).all()


def test_whole_numbers_and_halves_that_are_none_are_refused():
    weight = torch.zeros(5, 1, 4)
    with refused("x of torch.int64: torch.float32 or torch.bfloat16 or torch.float16 or torch.float64 is needed"):
        convolution_silu(torch.zeros(2, 3, 5, dtype=torch.long), weight)
    with refused("both of shape (2, 3, 9): (B, T, 10) with B >= 1 and T >= 1 is needed"):
        halves_convolution_silu(torch.zeros(2, 3, 9), weight)
