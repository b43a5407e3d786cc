"""Modes that lie close to one another: their weights stay small where that costs next to nothing."""

import torch
from banks import normal
from torch.testing import assert_close

from lib.models import distill_modes, hankel


def damped_columns(angles):
    """Two columns per mode of 600 taps."""
    return hankel.damped(torch.polar(torch.full_like(angles, 0.995), angles), 600)


def test_weights_that_cancel_are_left_out_unless_they_are_the_kernel():
    close = damped_columns(torch.tensor([0.30, 0.30 + 1e-5], dtype=torch.float64))
    noisy = normal(600)
    wild, calm = hankel.least_squares(close, noisy, 1e-12), distill_modes._without_cancelling(close, noisy, 1e-12)
    assert wild.abs().max() > 100 > 1 > calm.abs().max()
    assert (close @ calm - noisy).norm() <= 1.02 * (close @ wild - noisy).norm()
    exact = close @ torch.tensor([5e3, 0.0, -5e3, 1.0], dtype=torch.float64)
    assert_close(close @ distill_modes._without_cancelling(close, exact, 1e-12), exact)
