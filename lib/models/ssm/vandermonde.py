"""Impulse responses of diagonal systems: sums of damped exponentials. Symbols: `lib/__init__.py`."""

import torch
from jaxtyping import Float, Inexact
from torch import Tensor

from lib.kernels.autocast import off


def impulse_response(
    decay: Inexact[Tensor, "D M"], weight: Inexact[Tensor, "D M"], length: int, dtype: torch.dtype
) -> Float[Tensor, "D T"]:
    """Impulse response of D sums of M damped modes: the real part of the sum of weight_m decay_m^k at lags 0 .. T-1.

    length   T >= 1; memory grows as D (T + M sqrt(T)), not as D M T
    dtype    of what is returned
    """
    decay, weight = (x.to(torch.promote_types(x.dtype, torch.float64)) for x in (decay, weight))
    # decay^(q width + s) = decay^(q width) decay^s: two matrices of about sqrt(T) columns and their product, per
    # channel, stand for the (D, M, T) Vandermonde matrix. Powers are taken in double precision: in float32 the phase
    # of decay^k would be off by more and more as k grows.
    width = 1 << ((length - 1).bit_length() + 1) // 2
    fine = powers(decay, width)
    coarse = weight[..., None] * powers(fine[..., -1] * decay, -(-length // width))
    fine, coarse = (_parts(x).to(dtype) for x in (fine, coarse.conj()))
    with off(fine):
        return torch.einsum("dmqz,dmsz->dqs", coarse, fine).flatten(1)[:, :length]


def powers(base: Inexact[Tensor, "D M"], count: int) -> Inexact[Tensor, "D M K"]:
    """Powers 0 .. count-1 of each number, by doubling: a real base below zero has no logarithm."""
    found, square = torch.ones_like(base)[..., None], base[..., None]
    while found.shape[-1] < count:
        found, square = torch.cat([found, square * found], dim=-1), square * square
    return found[..., :count]


def _parts(x: Tensor) -> Tensor:
    """Real and imaginary part on a new last axis, of length one for real x: Re(conj(a) b) is their inner product."""
    return torch.view_as_real(x.resolve_conj()) if x.is_complex() else x[..., None]
