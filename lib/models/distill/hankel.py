"""Hankel matrices of one kernel, and the modes in them. Symbols: `lib/__init__.py`."""

import math

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from lib.models.distill.modes import EPS, inside
from lib.models.ssm.vandermonde import powers


def hankel(kernel: Float[Tensor, " L"]) -> tuple[Float[Tensor, "P P"], Float[Tensor, "P P"]]:
    """Hankel matrix K[i + j] of a kernel, L // 2 rows and columns, and its shifted copy K[i + j + 1]."""
    lags = torch.arange(len(kernel) // 2)
    lags = lags + lags.unsqueeze(1)
    return kernel[lags], kernel[lags + 1]


def hankel_of_modes(
    decay: Complex[Tensor, " M"], weight: Complex[Tensor, " M"]
) -> tuple[Float[Tensor, "P P"], Float[Tensor, "P P"]]:
    """Hankel matrix and its shifted copy of the endless kernel Re(sum of weight decay^k), in an orthonormal basis.

    The basis spans the modes: P <= 2 M.

    K[i + j] is a form in the real and imaginary parts of decay^i and decay^j, of one 2 x 2 block per mode. Taken apart
    into that form and the QR factors of those parts nothing is squared, as in a product of Gramians, and no accuracy is
    lost. The factor of 2 n rows comes from that of n, until the slowest mode is over.
    """
    rate, angle = -decay.abs().log(), decay.angle()
    rows, lags = torch.ones_like(decay).unsqueeze(0), 1
    while lags * rate.min() < -math.log(EPS):
        ahead = torch.polar(torch.exp(-lags * rate), lags * angle)
        twice = torch.view_as_real(torch.cat([rows, rows * ahead])).flatten(1)
        rows = torch.view_as_complex(torch.linalg.qr(twice, mode="r").R.unflatten(1, (-1, 2)).contiguous())
        lags = 2 * lags
    basis, both = torch.view_as_real(rows), []
    for factor in (weight, weight * decay):
        block = torch.stack([factor.real, -factor.imag, -factor.imag, -factor.real], -1).unflatten(-1, (2, 2))
        both.append(torch.einsum("pms,mst,qmt->pq", basis, block, basis))
    return both[0], both[1]


def damped(decay: Complex[Tensor, " M"], length: int) -> Float[Tensor, "L 2*M"]:
    """Two columns per mode, real and imaginary part of decay^k: Re(weight decay^k) has the factors Re, -Im weight."""
    return torch.view_as_real(powers(decay.unsqueeze(0), length)[0].T.resolve_conj()).flatten(1)


def realised(matrix: Float[Tensor, "P P"], shifted: Float[Tensor, "P P"], order: int) -> Complex[Tensor, " M"]:
    """Realise a Hankel matrix: modes, one of each pair, of its `order` largest states above rounding; |decay| < 1.

    Those that would grow are mirrored at the unit circle: slow ones stay slow.
    """
    values, vectors = torch.linalg.eigh(matrix)
    largest = values.abs().argsort(descending=True)[:order]
    largest = largest[values[largest].abs() > len(matrix) * EPS * values.abs().max()]
    values, vectors = values[largest], vectors[:, largest]
    root = values.abs().sqrt()
    # For a symmetric matrix the singular vectors on the right are those on the left, with the eigenvalues' signs.
    advance = vectors.T @ shifted @ vectors * values.sign() / (root * root.unsqueeze(1))
    decay = torch.linalg.eigvals(advance)
    decay = decay[decay.imag >= 0]
    return inside(decay.where(decay.abs() <= 1, 1 / decay.conj()))


def pursuit(columns: Float[Tensor, "P M 2"], target: Float[Tensor, " P"], count: int) -> list[int]:
    """Matching pursuit: numbers of modes, each the one whose two columns explain most of what earlier ones do not."""
    blocks = columns.transpose(0, 1)
    projections = blocks @ torch.linalg.pinv(blocks)
    chosen, residual = [], target
    for _ in range(min(count, len(blocks))):
        energy = (projections @ residual).square().sum(1)
        energy[chosen] = -1
        chosen.append(int(energy.argmax()))
        own = columns[:, chosen].flatten(1)
        residual = target - own @ least_squares(own, target, len(target) * EPS)
    return chosen


def least_squares(columns: Float[Tensor, "L n"], target: Float[Tensor, " L"], precision: float) -> Float[Tensor, " n"]:
    """Factors of the columns whose sum is nearest to the target.

    precision   directions that are smaller than this share of the largest one are left out: their factors would be
                large and cancel
    """
    return torch.linalg.lstsq(columns, target.unsqueeze(1), rcond=precision, driver="gelsd").solution.squeeze(1)
