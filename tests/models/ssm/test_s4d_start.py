"""Where S4D starts: its eigenvalues against the papers' formulas and matrices, its steps and its output weights."""

import math

import numpy as np
import pytest
import scipy.linalg
import torch
from systems import INITS, system
from torch.testing import assert_close

from lib.models.ssm.s4d import hippo_legs, initial_eigenvalues

PAPERS = {
    "lin": [-0.5, -0.5 + math.pi * 1j, -0.5 + 2 * math.pi * 1j],
    "inv": [-0.5 + 12 / math.pi * 1j, -0.5 + 4 / (3 * math.pi) * 1j],  # (N/pi) (N - 1) and (N/pi) (N/3 - 1), N = 4
}


@pytest.mark.parametrize(("init", "expected"), PAPERS.items(), ids=PAPERS)
def test_complex_eigenvalues_are_the_papers(init, expected):
    assert_close(initial_eigenvalues(init, 2 * len(expected)), torch.tensor(expected, dtype=torch.complex128))


def test_real_eigenvalues_are_the_negative_integers():
    assert initial_eigenvalues("real", 5).tolist() == [-1, -2, -3, -4, -5]


def test_legs_eigenvalues_are_the_closed_forms_of_two_and_four_states():
    assert initial_eigenvalues("legs", 2).tolist() == pytest.approx([-0.5 + 0.75**0.5 * 1j])
    # An antisymmetric 4 x 4 matrix has eigenvalues i mu with mu^4 - total mu^2 + pfaffian^2 = 0, where total is the
    # sum of the squared entries above the diagonal.
    total, pfaffian = 86 / 4, 105**0.5 / 4
    spread = (total**2 - 4 * pfaffian**2) ** 0.5
    expected = [-0.5 + ((total + sign * spread) / 2) ** 0.5 * 1j for sign in (-1, 1)]
    assert initial_eigenvalues("legs", 4).tolist() == pytest.approx(expected)


@pytest.mark.parametrize("states", [2, 8, 64])
def test_legs_eigenvalues_are_those_of_the_dense_normal_part(states):
    A = hippo_legs(states)[0].numpy()
    P = np.sqrt(np.arange(states) + 0.5)
    normal = A + np.outer(P, P)
    np.testing.assert_allclose(normal + normal.T, -np.eye(states), atol=1e-12)
    found = scipy.linalg.eigvals(normal)
    found = found[found.imag > 0]
    ours = initial_eigenvalues("legs", states).numpy()
    np.testing.assert_allclose(ours, found[np.argsort(found.imag)], rtol=1e-10)
    assert set(ours.real) == {-0.5}


def test_hippo_legs_is_the_papers_matrix():
    A, B = hippo_legs(3)
    assert_close(A, -torch.tensor([[1, 0, 0], [3**0.5, 2, 0], [5**0.5, 15**0.5, 3]], dtype=torch.float64))
    assert_close(B.square(), torch.tensor([1, 3, 5], dtype=torch.float64))


@pytest.mark.parametrize("init", INITS)
def test_a_channel_starts_at_the_eigenvalues_of_its_name(init):
    model = system(init, dim=2, states=16)
    a = initial_eigenvalues(init, 16)
    for channel in range(2):
        assert_close(-model.log_a_real[channel].exp(), a.real, rtol=1e-6, atol=0)
        imag = torch.zeros(16) if model.a_imag is None else model.a_imag[channel]
        assert_close(imag.double(), a.imag, rtol=1e-6, atol=1e-6)


def test_steps_start_between_their_bounds():
    steps = system(dim=500, states=2, dt_min=0.01, dt_max=0.02).log_dt.exp()
    assert 0.01 - 1e-6 < steps.min() < 0.0105
    assert 0.0195 < steps.max() < 0.02 + 1e-6


@pytest.mark.parametrize("init", ["lin", "real"])
def test_output_weights_start_with_unit_variance(init):
    model = system(init, dim=2000)
    squares = model.C.square() if init == "real" else model.C.square().sum(-1)
    assert squares.mean().item() == pytest.approx(1, abs=0.05)


def test_the_seed_decides_the_weights():
    first, second = (system(generator=torch.Generator().manual_seed(7)) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    other = system(generator=torch.Generator().manual_seed(8))
    assert not torch.equal(first.C, other.C)
