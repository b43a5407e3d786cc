"""HiPPO-LegS: a state that holds the whole past of a signal as coefficients of Legendre polynomials.

Source: Gu, Dao, Ermon, Rudra and Ré (2020), https://arxiv.org/abs/2008.07669, theorem 2.
"""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from lib.models.checks import check_count, check_shape
from lib.models.ssm.ideas.spring import held
from lib.models.ssm.s4d import hippo_legs


def memories(signal: Float[Tensor, " T"], states: int) -> Float[Tensor, "T N"]:
    """States after every sample: the first N Legendre coefficients of all samples so far, each held for one step.

    The equation h' = (A h + B u) / t stands still in log t. So the step from sample k to k + 1 is a zero-order hold of
    length log((k + 1) / k), exact for a signal that is constant between samples.

    signal   at least one sample, in float64
    states   N >= 1
    raises   ValueError, quoting it, for fewer states, and for a signal of another shape or without samples
    """
    check_count("states", states)
    check_shape("signal", signal, "T")
    A, B = hippo_legs(states)
    h = torch.zeros_like(B)
    h[0] = signal[0]  # the mean of a signal that has only begun is its first sample
    found = [h]
    for k, now in enumerate(signal[1:], start=1):
        A_bar, B_bar = held(A, B, np.log1p(1 / k))
        h = A_bar @ h + B_bar * now
        found.append(h)
    return torch.stack(found)


def rebuilt(state: Float[Tensor, " N"], points: Float[Tensor, " P"]) -> Float[Tensor, " P"]:
    """The past that a state remembers, at points of it: zero is its beginning, one is now.

    raises   ValueError, quoting it, for a state of another shape
    """
    check_shape("state", state, "N")
    scaled = state.numpy() * np.sqrt(2 * np.arange(len(state)) + 1)
    return torch.from_numpy(np.polynomial.legendre.legval(2 * points.numpy() - 1, scaled))


def normal_part(states: int) -> tuple[Float[Tensor, "N N"], Float[Tensor, " N"]]:
    """S and p with A = S - p pᵀ for HiPPO-LegS: S is skew-symmetric but for -1/2 on its diagonal.

    Such a matrix has orthogonal eigenvectors; the rank that is missing to A is one.
    source   Gu, Goel and Ré (2022), https://arxiv.org/abs/2111.00396, theorem 1
    """
    A, B = hippo_legs(states)
    p = B / np.sqrt(2)
    return A + torch.outer(p, p), p
