"""S5: its convolution is the recurrence of its real matrices; it streams, sees no future, and learns."""

import math

import pytest
import torch
from mrss_mixers import sequence, streamed
from refusals import refused
from torch.testing import assert_close

from lib.models.ssm.mamba import MambaClassifier, MambaConfig
from lib.models.ssm.s4d import hippo_legs
from lib.models.ssm.s5 import S5, initial_system, mixed
from lib.models.ssm.s5_block import S5Block


def layer(dim=3, states=8, seed=0, **options) -> S5:
    return S5(dim, states, **options, generator=torch.Generator().manual_seed(seed)).double()


def block(dim=6, seed=0) -> S5Block:
    return S5Block(dim, states=8, generator=torch.Generator().manual_seed(seed)).double()


def test_equal_steps_make_the_recurrence_of_hippos_real_matrices():
    """A_bar by the exponential of the dense normal part of HiPPO-LegS, with B and C as they were drawn."""
    model = S5(3, 6, 0.05, 0.05, generator=torch.Generator().manual_seed(1)).double()
    drawn = torch.Generator().manual_seed(1)
    torch.rand(3, generator=drawn)  # step sizes
    B = torch.randn(6, 3, generator=drawn).double() / math.sqrt(3)
    C = torch.randn(3, 6, generator=drawn).double() / math.sqrt(6)
    A, column = hippo_legs(6)
    A = A + torch.outer(column, column) / 2
    step = torch.linalg.matrix_exp(0.05 * A)
    gain = torch.linalg.solve(A, (step - torch.eye(6).double()) @ B)
    wanted = torch.stack([C @ torch.linalg.matrix_power(step, lag) @ gain for lag in range(9)])
    assert_close(model.kernel(9), wanted, rtol=1e-5, atol=1e-6)  # drawn in single precision


@pytest.mark.parametrize("length", [1, 2, 17, 200])
def test_steps_are_the_convolution(length):
    model, x = layer(), sequence(length, 3, seed=1)
    assert_close(streamed(model, x), model(x))


def test_the_convolution_is_the_sum_over_lags_of_the_dense_kernel():
    model, x = layer(), sequence(20, 3, seed=1)
    kernel, wanted = model.kernel(20), model.skip * x
    for now in range(20):
        for lag in range(now + 1):
            wanted[:, now] = wanted[:, now] + x[:, now - lag] @ kernel[lag].T
    assert_close(model(x), wanted)


def test_single_precision_is_double_precision_up_to_rounding():
    model, x = S5(3, 8, generator=torch.Generator().manual_seed(0)), sequence(300, 3, seed=1)
    single = model(x.float())
    assert single.dtype == torch.float32
    assert_close(single.double(), model.double()(x), rtol=1e-4, atol=1e-4)


def test_half_precision_comes_back_in_half_precision():
    model, x = S5(3, 8, generator=torch.Generator().manual_seed(0)), sequence(30, 3, seed=1)
    assert model(x.to(torch.bfloat16)).dtype == torch.bfloat16
    assert model.to(torch.bfloat16)(x.to(torch.bfloat16)).isfinite().all()


def test_no_output_depends_on_a_later_input():
    model, x = block(), sequence(20, 6, seed=1)
    later = x.clone()
    later[:, 12:] += 1
    assert_close(model(later)[:, :12], model(x)[:, :12])
    assert not torch.isclose(model(later)[:, 12], model(x)[:, 12]).any()


def test_gradients_are_those_of_differences():
    model, x = layer(dim=2, states=4), sequence(7, 2, seed=1).requires_grad_()
    assert torch.autograd.gradcheck(lambda x, *_: model(x), (x, *model.parameters()))


def test_a_mode_alone_is_a_damped_oscillation():
    one = torch.tensor([[1.0 + 0j]], dtype=torch.complex128)
    x = torch.zeros(1, 5, 1, dtype=torch.float64)
    x[0, 0] = 1
    found = mixed(x, torch.tensor([0.5j], dtype=torch.complex128), one, one)
    assert_close(found.flatten(), torch.tensor([1, 0, -0.25, 0, 0.0625], dtype=torch.float64))


def test_a_classifier_of_s5_blocks_streams_and_learns(generator):
    mixers = [block(seed=seed) for seed in range(2)]
    model = MambaClassifier(MambaConfig(dim=6, layers=2), 3, 5, pooling="none", mixers=mixers, generator=generator)
    model, x = model.double(), sequence(25, 3, seed=1)
    assert_close(streamed(model, x), model(x))
    model(x).square().sum().backward()
    assert all(weight.grad.isfinite().all() and weight.grad.any() for weight in model.parameters())


@pytest.mark.parametrize(("states", "init"), [(4, "legs"), (3, "real")])
def test_the_map_into_the_basis_keeps_lengths(states, init):
    values, inward = initial_system(init, states)
    assert (values.real < 0).all()
    assert_close(inward @ inward.mH, torch.eye(len(values), dtype=torch.complex128))


def test_what_does_not_fit_is_quoted():
    with refused("states = 7: init 'legs' holds conjugate pairs, an even number is needed"):
        S5(3, 7)
    with refused("init = 'lin': one of legs, real is needed"):
        initial_system("lin", 4)
    with refused("dt_max = 0.01"):
        S5(3, 8, 0.1, 0.01)
    model = layer()
    with refused("input of shape (2, 5, 4): (B, T, 3) with B >= 1 and T >= 1 is needed"):
        model(torch.zeros(2, 5, 4).double())
    with refused("state of shape (3, 4): (2, 4) is needed"):
        model.step(torch.zeros(2, 3).double(), model.initial_state(3))
    with refused("length = 0: an integer of at least 1 is needed"):
        model.kernel(0)
