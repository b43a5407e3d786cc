"""Mamba-2: with one decay for all states of a token, a scan is attention under a mask of decays.

Source: Dao and Gu (2024), https://arxiv.org/abs/2405.21060, sections 3 and 5.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from lib.models.checks import check_shape


def decays(log_a: Float[Tensor, " T"]) -> Float[Tensor, "T T"]:
    """What is kept of token s until token t: the product of the decays between them; zero for s after t."""
    sums = log_a.cumsum(0)
    return torch.exp(sums[:, None] - sums[None]).tril()


def as_attention(
    x: Float[Tensor, "T P"], log_a: Float[Tensor, " T"], B: Float[Tensor, "T N"], C: Float[Tensor, "T N"]
) -> Float[Tensor, "T P"]:
    """Outputs of h_t = a_t h_{t-1} + B_t x_t, y_t = C_t h_t by products of matrices: C are queries, B keys, x values.

    log_a   logarithms of the decays, at most zero
    raises  ValueError, quoting the shape, for numbers of tokens or states that differ
    """
    check_shape("x", x, "T", "P")
    check_shape("log_a", log_a, len(x))
    check_shape("B", B, len(x), "N")
    check_shape("C", C, *B.shape)
    return (decays(log_a) * (C @ B.mT)) @ x
