"""Modes that lie close to one another: their weights stay small where that costs next to nothing."""

import torch
from banks import normal
from torch.testing import assert_close

from lib.models.distill import by_modes as distill_modes
from lib.models.distill import hankel


def damped_columns(angles):
    """Two columns per mode of 600 taps."""
    return hankel.damped(torch.polar(torch.full_like(angles, 0.995), angles), 600)


def test_weights_that_cancel_are_left_out_unless_they_are_the_kernel():
    close = damped_columns(torch.tensor([0.30, 0.30 + 1e-6], dtype=torch.float64))
    noisy = normal(600)
    noisy = noisy / noisy.abs().max()
    wild, calm = hankel.least_squares(close, noisy, 1e-12), distill_modes._without_cancelling(close, noisy, 1e-12)
    assert wild.abs().max() > distill_modes.BOUND > calm.abs().max()
    assert (close @ calm - noisy).norm() <= 1.02 * (close @ wild - noisy).norm()
    exact = close @ torch.tensor([5e4, 0.0, -5e4, 1.0], dtype=torch.float64)
    assert_close(close @ distill_modes._without_cancelling(close, exact, 1e-12), exact)


def test_of_small_weights_the_most_accurate_are_taken():
    angles = torch.tensor([0.30, 0.31, 0.5], dtype=torch.float64)
    columns = damped_columns(angles)
    exact = columns @ torch.tensor([40.0, 0.0, -40.0, 1.0, 2.0, 0.0], dtype=torch.float64)
    assert_close(columns @ distill_modes._without_cancelling(columns, exact, 1e-12), exact)
