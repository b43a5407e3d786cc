"""The convolution's kernels, emulated, read values: views that are not worked out yet are, gradients among them."""

import pytest
import torch
from convolutions import Problem
from emulation import NEEDED, emulated
from lazy_views import LAZY
from precision import SINGLE, assert_within

from lib.kernels.convolution import cuda, op
from lib.models.ssm.convolution import convolution_silu, halves_convolution_silu

pytestmark = [NEEDED, pytest.mark.slow]


def halves(both, past, weight, bias):
    out, gate = halves_convolution_silu(both, weight, bias, past)
    return torch.cat([out, gate], dim=-1)


def whole(both, past, weight, bias):
    return convolution_silu(both.chunk(2, dim=-1)[0], weight, bias, past)


@pytest.mark.parametrize("kind", ["negated imaginary part", "negative view", "stepped"])
@pytest.mark.parametrize("function", [halves, whole], ids=lambda function: function.__name__)
def test_inputs_and_incoming_gradients_may_be_views_of_any_kind(function, kind, monkeypatch):
    x, past, weight, bias, _ = Problem().inputs()
    inputs = [torch.cat([x, x.flip(1)], dim=-1), past, weight, bias]
    wanted = found = None
    for view in (lambda one: one, LAZY[kind]):
        leaves = [view(one).detach().requires_grad_() for one in inputs]
        with emulated(), monkeypatch.context() as patch:
            cuda._made.cache_clear()
            patch.setattr(cuda, "unavailable", lambda *_: None)
            patch.setattr(op, "DEVICE", "cpu")
            patch.setitem(op.KERNELS, "cpu", cuda)
            out = function(*leaves)
            grad = torch.linspace(-1, 1, out.numel()).view(out.shape)
            wanted, found = found, [out, *torch.autograd.grad(out, leaves, view(grad))]
    for one, other in zip(found, wanted, strict=True):
        assert_within(one, other, SINGLE)
