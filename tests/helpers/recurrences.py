"""The recurrence of damped modes in float64, and the rounding that it suffers in single precision.

    h[t] = decay h[t-1] + gain x[t],  y[t] = Re(sum of output h[t]) + skip x[t]

A running error analysis (Higham, Accuracy and Stability of Numerical Algorithms, 2002, section 3.3): every state and
every product is rounded once, at random, relative to what it is, and decays as its state does from there on.
"""

import math
from typing import NamedTuple

import torch
from precision import UNIT
from torch import Tensor

from lib.models.distill.modes import Modes
from lib.models.ssm.s4d import S4D

SPREAD = 8.0  # standard deviations that the largest error may have: a complex product is several roundings


class Exact(NamedTuple):
    """Outputs and last state, with the standard deviation of each in single precision, in units of a rounding."""

    out: Tensor
    last: Tensor
    out_noise: Tensor
    last_noise: Tensor


def exact(x: Tensor, decay: Tensor, output: Tensor, skip: Tensor, state: Tensor, gain: Tensor | float = 1.0) -> Exact:
    """A bank (D, M) over a sequence (B, T, D), from a state (B, D, M)."""
    decay, output, state = (
        part.detach().to(torch.promote_types(part.dtype, torch.float64)) for part in (decay, output, state)
    )
    noise, outs, noises = torch.zeros_like(state.abs()), [], []
    for token in x.detach().double().unbind(1):
        state = decay * state + gain * token.unsqueeze(-1)
        noise = decay.abs().square() * noise + state.abs().square()
        direct = skip.detach().double() * token
        outs.append((output * state).sum(-1).real + direct)
        added = output.abs().square() * (noise + state.abs().square())
        noises.append((added.sum(-1) + direct.square()).sqrt())
    return Exact(torch.stack(outs, dim=1), state, torch.stack(noises, dim=1), noise.sqrt())


def in_modes(model: S4D | Modes, x: Tensor) -> Exact:
    """The system that a model holds in its own precision, from a state of zeros."""
    decay, gain, output = (
        model.modes() if isinstance(model, S4D) else (model.decay(), 1.0, torch.view_as_complex(model.C))
    )
    gain = gain.detach().to(torch.complex128) if isinstance(gain, Tensor) and gain.is_complex() else gain
    return exact(x, decay, output, model.skip, torch.zeros(len(x), *decay.shape, dtype=decay.dtype), gain)


def transform(model: S4D | Modes, x: Tensor) -> Tensor:
    """Rounding of a convolution by FFT, in units of a rounding: it grows with the transform's depth, relative to the
    norms of kernel and input (Higham, 2002, theorem 24.2), as a random walk does.
    """
    kernel, length = model.kernel(x.shape[1]).detach().double(), x.shape[1]
    return kernel.norm(dim=1).max() * x.double().norm(dim=1).max() * math.sqrt(math.log2(2 * length))


def assert_rounded(found: Tensor, wanted: Tensor, noise: Tensor, more: Tensor | float = 0.0) -> None:
    """No value is off by more than the largest rounding in single precision, and what is given in addition."""
    assert found.shape == wanted.shape
    share = (found - wanted).abs().max() / (UNIT * (SPREAD * noise.max() + more))
    assert share <= 1, f"{share:.1f} times the error that rounding makes"
