"""The ideas against what is known of them: closed forms, least squares, loops, and the scan that computes."""

import math

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from lib.models.ssm.ideas import duality, grids, hippo, parallel, spring
from lib.models.ssm.mamba2 import heads_scan
from lib.models.ssm.s4d import hippo_legs
from lib.models.ssm.scan import selective_scan_fn


def random(*sizes, seed=0):
    return torch.randn(*sizes, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_a_pulled_spring_swings_as_its_closed_form():
    """A constant force on a spring at rest: x(t) = F/k (1 - e^(-gt) (cos wt + g/w sin wt))."""
    mass, damping, stiffness, force, interval = 2.0, 0.4, 3.0, 5.0, 0.7
    A, B = spring.spring(mass, damping, stiffness)
    u = torch.full((40,), force, dtype=torch.float64)
    found = spring.run(*spring.held(A, B, interval), u, torch.zeros(2, dtype=torch.float64))[:, 0]
    g = damping / (2 * mass)
    w = math.sqrt(stiffness / mass - g**2)
    t = interval * torch.arange(1, 41, dtype=torch.float64)
    assert_close(found, force / stiffness * (1 - torch.exp(-g * t) * (torch.cos(w * t) + g / w * torch.sin(w * t))))


@pytest.mark.parametrize("numbers", [(0, 1, 1), (1, -1, 1), (1, 1, 0), (1, float("nan"), 1), (True, 1, 1)])
def test_a_spring_that_cannot_be_is_refused(numbers):
    with pytest.raises(ValueError, match=r"mass|damping|stiffness"):
        spring.spring(*numbers)


@pytest.mark.parametrize("states", [1, 4, 9])
def test_the_state_holds_the_projection_of_the_past(states):
    """Against integrals of a piecewise constant signal with Legendre polynomials, by their antiderivatives."""
    signal = random(30)
    found = hippo.memories(signal, states)
    for length in (1, 2, 7, 30):
        edges = 2 * np.arange(length + 1) / length - 1
        for n in range(states):
            integral = np.polynomial.legendre.Legendre.basis(n).integ()
            pieces = integral(edges[1:]) - integral(edges[:-1])
            wanted = math.sqrt(2 * n + 1) / 2 * (pieces * signal[:length].numpy()).sum()
            assert abs(found[length - 1, n] - wanted) < 1e-10


def test_a_polynomial_is_rebuilt_from_as_many_states_as_it_has_coefficients():
    time = torch.linspace(0, 1, 400, dtype=torch.float64)
    state = hippo.memories(3 * time**2 - 2 * time + 0.5, 3)[-1]
    points = torch.tensor([0.1, 0.5, 0.9], dtype=torch.float64)
    assert_close(hippo.rebuilt(state, points), 3 * points**2 - 2 * points + 0.5, atol=0.01, rtol=0)


def test_hippo_lacks_a_rank_of_one_to_a_normal_matrix():
    A, _ = hippo_legs(12)
    S, p = hippo.normal_part(12)
    assert_close(S - torch.outer(p, p), A)
    assert_close(S + S.T, -torch.eye(12, dtype=S.dtype))
    assert_close(S @ S.T, S.T @ S)
    assert (A @ A.T - A.T @ A).abs().max() > 1


def test_steps_are_put_together_in_any_grouping():
    one, two, three = (parallel.Step(*random(2, 5, seed=seed)) for seed in range(3))
    left, right = parallel.then(parallel.then(one, two), three), parallel.then(one, parallel.then(two, three))
    assert_close(left, right)


@pytest.mark.parametrize("length", [1, 2, 3, 8, 21])
def test_rounds_of_doubling_are_the_recurrence(length):
    a, b = random(2, length, 4)
    h, states = torch.zeros(4, dtype=a.dtype), []
    for step in range(length):
        h = a[step] * h + b[step]
        states.append(h)
    assert_close(parallel.doubled(a, b), torch.stack(states))


def test_attention_under_decays_is_mamba_2s_scan():
    x, B, C = random(20, 3), random(20, 4, seed=1), random(20, 4, seed=2)
    step, A = torch.rand(20, generator=torch.Generator().manual_seed(3), dtype=torch.float64), -0.8
    wanted, _ = heads_scan(
        x[None, :, None], step[None, :, None], torch.tensor([A], dtype=x.dtype), B[None, :, None], C[None, :, None]
    )
    assert_close(duality.as_attention(step[:, None] * x, step * A, B, C), wanted[0, :, 0])


def test_two_kernels_along_two_axes_are_one_of_two_axes():
    image, down, across = random(5, 7), random(5, seed=1), random(7, seed=2)
    wanted = torch.zeros_like(image)
    for row in range(5):
        for column in range(7):
            for above in range(row + 1):
                for left in range(column + 1):
                    wanted[row, column] += down[above] * across[left] * image[row - above, column - left]
    assert_close(grids.along_both(image, down, across), wanted)


def test_two_directions_turn_around_with_their_input():
    x, A = random(1, 3, 16), -torch.rand(3, 2, dtype=torch.float64)

    def scan(u):
        return selective_scan_fn(u, u.abs(), A, u[:, :2], u[:, 1:])

    y = grids.both_ways(scan, x)
    assert_close(grids.both_ways(scan, x.flip(-1)), y.flip(-1))
    later = x.clone()
    later[..., -1] += 1
    assert (grids.both_ways(scan, later)[..., 0] != y[..., 0]).any()  # the first token depends on the last
    assert_close(scan(later)[..., 0], scan(x)[..., 0])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: hippo.memories(random(0), 4), r"signal of shape \(0,\)"),
        (lambda: hippo.memories(random(5), 0), "states = 0"),
        (lambda: hippo.rebuilt(random(2, 2), random(3)), r"state of shape \(2, 2\)"),
        (lambda: spring.run(torch.eye(2).double(), random(2), random(0), random(2)), r"u of shape \(0,\)"),
        (lambda: parallel.doubled(random(4, 2), random(3, 2)), r"b of shape \(3, 2\)"),
        (lambda: parallel.doubled(random(0, 2), random(0, 2)), r"a of shape \(0, 2\)"),
        (lambda: duality.as_attention(random(4, 2), random(5), random(4, 3), random(4, 3)), r"log_a of shape \(5,\)"),
        (lambda: duality.as_attention(random(4, 2), random(4), random(4, 3), random(4, 2)), r"C of shape \(4, 2\)"),
        (lambda: grids.along_both(random(4, 5), random(5), random(5)), r"down of shape \(5,\)"),
    ],
)
def test_sizes_that_do_not_fit_are_refused_in_one_line(call, message, unchecked):
    with pytest.raises(ValueError, match=message):
        call()
