"""Banks of kernels for the tests of kernel distillation."""

import torch
from torch import Tensor

from lib.models.ssm.s4d import S4D


def normal(*shape, seed=0, dtype=torch.float64) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def damped(dim=3, pairs=2, reals=0, length=60, seed=0, slowest=0.05) -> Tensor:
    """Kernels (D, L) of exactly 2 * pairs + reals states, lag after lag."""
    generator = torch.Generator().manual_seed(seed)

    def uniform(count, low, high):
        return low + (high - low) * torch.rand(dim, count, generator=generator, dtype=torch.float64)

    rate, angle = uniform(pairs + reals, slowest, 0.3), uniform(pairs + reals, 0.2, 2.9)
    angle[:, pairs:] = torch.pi * (torch.arange(reals) % 2)  # positive and negative ones
    weight = torch.complex(uniform(pairs + reals, 0.5, 1.5), uniform(pairs + reals, -1, 1))
    decay = torch.polar(torch.exp(-rate), angle)
    weight[:, pairs:].imag = 0
    return torch.stack([(weight * decay**lag).sum(1).real for lag in range(length)], dim=1)


def layer(init="lin", dim=3, states=16, used=None, dtype=torch.float64, seed=0, **options) -> S4D:
    """An S4D of which only the modes `used` reach the output."""
    options = {"dt_min": 0.02, "dt_max": 0.2} | options
    model = S4D(dim, states, init, **options, generator=torch.Generator().manual_seed(seed)).to(dtype)
    with torch.no_grad():
        if model.a_imag is not None:
            model.a_imag.add_(0.1)  # as after training, no mode is a real one
        if used is not None:
            for mode in set(range(model.C.shape[1])) - set(used):
                model.C[:, mode] = 0
    return model


def relative(found: Tensor, wanted: Tensor) -> float:
    """The largest relative error of a channel, in the 2-norm over its taps."""
    return ((found - wanted).norm(dim=1) / wanted.norm(dim=1)).max().item()
