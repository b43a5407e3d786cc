"""Small S4D systems and their inputs, for the tests of every view of S4D."""

import numpy as np
import pytest
import scipy.linalg
import torch
from torch import Tensor

from lib.models.ssm.s4d import S4D

INITS = ("lin", "inv", "legs", "real")
RULES = ("zoh", "bilinear")

every_system = pytest.mark.parametrize(("init", "rule"), [(init, rule) for init in INITS for rule in RULES])


def system(init="lin", rule="zoh", dim=3, states=8, dtype=torch.float64, **options) -> S4D:
    options.setdefault("generator", torch.Generator().manual_seed(1))
    return S4D(dim, states, init, discretisation=rule, **options).to(dtype)


def dense(model: S4D, channel: int):
    """A, B, C and the step of one channel as real matrices: a block [[re, -im], [im, re]] for each pair."""
    real = -model.log_a_real[channel].detach().exp().numpy()
    output = model.C[channel].detach().numpy()
    dt = model.log_dt[channel].detach().exp().item()
    if model.a_imag is None:
        return np.diag(real), np.ones((len(real), 1)), output[None], dt
    imag = model.a_imag[channel].detach().numpy()
    A = scipy.linalg.block_diag(*(np.array([[re, -im], [im, re]]) for re, im in zip(real, imag, strict=True)))
    B = np.tile([[1.0], [0.0]], (len(real), 1))
    return A, B, 2 * (output * [1, -1]).reshape(1, -1), dt


def without_skip(model: S4D) -> S4D:
    """At first the skip is most of the output: agreement has to be shown of the rest."""
    torch.nn.init.zeros_(model.skip)
    return model


def sequence(generator: torch.Generator, length: int, batch: int = 2, dtype=torch.float64) -> Tensor:
    """A random input of three channels."""
    return torch.randn(batch, length, 3, dtype=dtype, generator=generator)
