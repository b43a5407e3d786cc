"""S4D's kernel against dense matrices, scipy's systems and a written-out sum; how long and how large it gets."""

import numpy as np
import pytest
import scipy.linalg
import scipy.signal
import torch
from precision import assert_within
from systems import INITS, dense, every_system, sequence, system
from torch.testing import assert_close

from lib.models.ssm.fft_convolution import causal_convolution


@pytest.mark.parametrize("init", INITS)
def test_the_held_kernel_is_that_of_the_dense_matrix_exponential(init):
    model = system(init)
    kernel = model.kernel(13).detach().numpy()
    for channel in range(3):
        A, B, C, dt = dense(model, channel)
        held = scipy.linalg.expm(dt * np.block([[A, B], [np.zeros((1, len(A) + 1))]]))[: len(A), len(A) :]
        expected = [(C @ scipy.linalg.expm(k * dt * A) @ held).item() for k in range(13)]
        np.testing.assert_allclose(kernel[channel], expected, rtol=1e-10, atol=1e-12 * np.abs(expected).max())


@every_system
def test_the_kernel_is_scipys_impulse_response(init, rule):
    model = system(init, rule)
    A, B, C, dt = dense(model, channel=1)
    # Only scipy's A and B: its bilinear rule moves half a step into C and D, ours into the time of the state.
    decay, gain, *_ = scipy.signal.cont2discrete((A, B, C, np.zeros((1, 1))), dt, method=rule)
    _, (response,) = scipy.signal.dimpulse((decay, gain, C, np.zeros((1, 1)), dt), n=41)
    expected = response[1:, 0]  # scipy's state takes an input in one step later
    kernel = model.kernel(40)[1].detach().numpy()
    np.testing.assert_allclose(kernel, expected, rtol=1e-9, atol=1e-12 * np.abs(expected).max())


@pytest.mark.parametrize("length", [1, 2, 3, 5, 16, 33])
def test_a_kernel_starts_with_every_shorter_one(length):
    model = system()
    assert_close(model.kernel(length), model.kernel(100)[:, :length])


@every_system
def test_a_kernel_in_single_precision_is_that_of_double_precision_rounded(init, rule):
    model = system(init, rule, states=64, dtype=torch.float32)
    single = model.kernel(4096).double()
    assert_within(single, model.double().kernel(4096), 5e-5)  # what rounding A_bar costs


@every_system
def test_a_long_kernel_is_finite_and_dies_away(init, rule):
    with torch.no_grad():
        model = system(init, rule, states=16, dtype=torch.float32)
        kernel = model.kernel(65536).abs()
        assert kernel.isfinite().all()
        assert (kernel[:, -1024:].amax(1) < 1e-6 * kernel[:, :1024].amax(1)).all()
        assert model(torch.ones(1, 65536, 3)).isfinite().all()


@pytest.mark.parametrize("init", INITS)
def test_no_real_part_makes_a_system_unstable(init):
    model = system(init)
    with torch.no_grad():
        for extreme in (-20.0, 0.0, 20.0):
            model.log_a_real.fill_(extreme)
            assert model.kernel(4096).isfinite().all()
            assert model.kernel(4096).abs().amax() <= 1.01 * 2 * 8 * model.C.abs().amax() * model.log_dt.exp().amax()


def test_a_convolution_is_the_written_out_sum(generator):
    x = sequence(generator, 9)
    for taps in (1, 4, 9, 12):
        kernel = torch.randn(3, taps, dtype=torch.float64, generator=generator)
        expected = torch.zeros_like(x)
        for t in range(9):
            for lag in range(min(taps, t + 1)):
                expected[:, t] += kernel[:, lag] * x[:, t - lag]
        assert_close(causal_convolution(x, kernel), expected)
