"""Hankel matrices and their singular values against scipy's, and against the Gramians of Lyapunov's equations."""

import numpy as np
import pytest
import scipy.linalg
import torch
from banks import damped, layer, normal
from refusals import refused
from systems import INITS, dense, every_system
from torch.testing import assert_close

from lib.models.distill import hankel
from lib.models.distill.by_modes import balanced_truncation, hankel_singular_values
from lib.models.distill.modes import system


@pytest.mark.parametrize("length", [2, 3, 9, 10])
def test_the_matrices_are_scipys(length):
    kernel = normal(length)
    half = length // 2
    for shift, matrix in enumerate(hankel.hankel(kernel)[:2]):
        expected = scipy.linalg.hankel(kernel[shift : half + shift], kernel[half + shift - 1 : 2 * half + shift - 1])
        np.testing.assert_array_equal(matrix.numpy(), expected)


@pytest.mark.parametrize("init", INITS)
def test_matrices_of_modes_have_the_spectrum_of_the_kernels(init):
    model = layer(init, dt_min=0.1, dt_max=0.3)
    for channel, (decay, weight) in enumerate(zip(*system(model), strict=True)):
        for found, whole in zip(
            hankel.hankel_of_modes(decay, weight)[:2],
            hankel.hankel(model.kernel(1200)[channel].detach())[:2],
            strict=True,
        ):
            expected = torch.linalg.eigvalsh(whole)
            found = torch.linalg.eigvalsh(found)
            for ends in (slice(4), slice(-4, None)):  # of the largest size, with their signs
                assert_close(found[ends], expected[ends], rtol=1e-9, atol=1e-12 * expected.abs().max().item())


@every_system
def test_a_layers_singular_values_are_those_of_its_gramians(init, rule):
    model = layer(init, discretisation=rule, states=8)
    found = hankel_singular_values(model)
    for channel in range(3):
        A, B, C, dt = dense(model, channel)
        if rule == "zoh":
            step = scipy.linalg.expm(dt * A)
            gain = np.linalg.solve(A, (step - np.eye(8)) @ B)
        else:
            step = np.linalg.solve(np.eye(8) - dt / 2 * A, np.eye(8) + dt / 2 * A)
            gain = dt * np.linalg.solve(np.eye(8) - dt / 2 * A, B)
        reachable = scipy.linalg.solve_discrete_lyapunov(step, gain @ gain.T)
        observable = scipy.linalg.solve_discrete_lyapunov(step.T, C.T @ C)
        expected = np.sort(np.sqrt(np.abs(np.linalg.eigvals(reachable @ observable))))[::-1]
        # The product squares them: below half the digits it knows nothing. A product of two 8 x 8 matrices and its
        # eigenvalues are off by at most 8 roundings each of 8 terms, relative to the largest; their roots by the root.
        noise = np.sqrt(64 * np.finfo(float).eps)
        np.testing.assert_allclose(found[channel].numpy(), expected, rtol=1e-6, atol=noise * expected[0])


def test_a_long_bank_has_the_singular_values_of_its_layer():
    model = layer(states=8, dt_min=0.1)
    found = hankel_singular_values(model.kernel(1000).detach())
    assert_close(found[:, :8], hankel_singular_values(model))
    assert found[:, 8:].max() < 1e-12


def test_a_bank_has_as_many_as_it_has_states():
    values = hankel_singular_values(damped(pairs=2, reals=1, length=80))
    assert values.shape == (3, 40)
    assert (values[:, 4] > 1e-4 * values[:, 0]).all()
    assert (values[:, 5] < 1e-13 * values[:, 0]).all()


def test_they_grow_with_the_kernel():
    bank = damped()
    for size in (1e-300, 1e150):
        assert_close((hankel_singular_values(bank * size) / size)[:, :4], hankel_singular_values(bank)[:, :4])


def test_zeros_have_none():
    assert not hankel_singular_values(torch.zeros(2, 8)).any()


def test_a_mode_on_the_circle_comes_to_an_end():
    model = layer(states=4)
    with torch.no_grad():
        model.log_a_real.fill_(-60.0)
    assert hankel_singular_values(model).isfinite().all()


def test_what_is_over_at_once_has_one_singular_value():
    model = layer(states=8)
    with torch.no_grad():
        model.log_dt[1] = 6.0
        kernel = model.kernel(2)
    values = hankel_singular_values(model)
    assert values.shape == (3, 8)
    assert kernel[1, 1].abs() < 1e-12
    assert_close(values[1], torch.cat([kernel[1, :1].abs(), torch.zeros(7)]), rtol=1e-9, atol=1e-12)
    result = balanced_truncation(model, 4, length=100)
    assert result.error[1] < 1e-12


def test_what_grows_is_mirrored_at_the_circle():
    angle = 1.1
    for growth in (0.05, 1e-6, 0.0):
        kernel = torch.exp(growth * torch.arange(40.0).double()) * torch.cos(angle * torch.arange(40.0).double())
        (decay,) = hankel.decays(hankel.realised(*hankel.hankel(kernel), 2)[0])
        assert decay.abs() < 1
        assert_close(decay.abs().log(), torch.tensor(-growth).double(), rtol=1e-6, atol=1e-12)
        assert_close(decay.angle(), torch.tensor(angle).double())


@every_system
def test_a_realisation_of_all_states_has_the_taps_of_the_kernel_and_is_balanced(init, rule):
    model = layer(init, discretisation=rule, states=8)
    for channel, (decay, weight) in enumerate(zip(*system(model), strict=True)):
        A, B, C = hankel.realised(*hankel.hankel_of_modes(decay, weight), 8)
        taps, state = [], B
        for _ in range(40):
            taps.append(C @ state)
            state = A @ state
        kernel = model.kernel(40)[channel].detach()
        assert_close(torch.stack(taps), kernel, rtol=0, atol=1e-11 * kernel.abs().max().item())
        reachable = scipy.linalg.solve_discrete_lyapunov(A.numpy(), np.outer(B, B))
        observable = scipy.linalg.solve_discrete_lyapunov(A.numpy().T, np.outer(C, C))
        values = hankel_singular_values(model)[channel, : len(A)].numpy()
        for gramian in (reachable, observable):
            np.testing.assert_allclose(gramian, np.diag(values), rtol=0, atol=1e-9 * values[0])


def test_modes_that_meet_leave_finite_weights():
    jordan = torch.tensor([[0.5, 1.0], [0.0, 0.5]], dtype=torch.float64)
    for found in hankel.diagonal(jordan, torch.ones(2).double(), torch.ones(2).double()):
        assert torch.view_as_real(found).isfinite().all()


@pytest.mark.parametrize(
    ("bank", "message"),
    [
        (torch.ones(3, 1), "kernel of shape (3, 1): (D, L) with D >= 1 and L >= 2 is needed"),
        (torch.ones(3, 2, 2), "kernel of shape (3, 2, 2): (D, L) with D >= 1 and L >= 1 is needed"),
        (torch.full((3, 8), torch.inf), "kernel: all of its values must be finite"),
    ],
)
def test_a_kernel_without_a_matrix_is_quoted(bank, message):
    with refused(message):
        hankel_singular_values(bank)


def test_entries_far_below_rounding_do_not_keep_eigenvalues_from_being_found():
    """Of this matrix as it is, LAPACK's iterations do not end on some processors."""
    tiny = torch.tensor([[-0.5, -0.5, 0.5], [-0.5, 3.0848e-164, 0], [-0.5, 0, 9.2544e-164]], dtype=torch.float64)
    assert hankel.decays(tiny).abs().sort().values.tolist() == pytest.approx([0, 0, 0.5], abs=1e-12)
    decay, weight = hankel.diagonal(tiny, torch.ones(3).double(), torch.ones(3).double())
    kernel = (weight.unsqueeze(1) * decay.unsqueeze(1) ** torch.arange(1, 5)).sum(0).real
    powers = [torch.linalg.matrix_power(tiny, k).sum() for k in range(1, 5)]
    assert_close(kernel, torch.stack(powers))


def test_what_counts_in_a_system_stays():
    systems = torch.randn(4, 5, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert torch.equal(hankel.settled(systems), systems)
    assert torch.equal(hankel.settled(torch.zeros(2, 3, 3).double()), torch.zeros(2, 3, 3).double())
