"""Hankel matrices of one kernel, and the modes in them. Symbols: `lib/__init__.py`."""

import math
from functools import lru_cache

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from lib.models.distill.modes import EPS, inside
from lib.models.ssm.vandermonde import powers

Hankel = tuple[Float[Tensor, "P P"], Float[Tensor, "P P"], Float[Tensor, " P"]]


def hankel(kernel: Float[Tensor, " L"]) -> Hankel:
    """Hankel matrix K[i + j] of a kernel, L // 2 rows and columns, its copy K[i + j + 1], and the unit of lag 0."""
    lags = torch.arange(len(kernel) // 2)
    both = lags + lags.unsqueeze(1)
    return kernel[both], kernel[both + 1], (lags == 0).to(kernel.dtype)


def hankels(decay: Complex[Tensor, "D M"], weight: Complex[Tensor, "D M"]) -> tuple[Hankel, ...]:
    """Those of every channel of a layer; of the last layers they are kept, since one is reduced in several ways."""
    return _hankels(len(decay), *(x.detach().cpu().resolve_conj().numpy().tobytes() for x in (decay, weight)))


@lru_cache(maxsize=8)
def _hankels(channels: int, *both: bytes) -> tuple[Hankel, ...]:
    decay, weight = (torch.frombuffer(bytearray(one), dtype=torch.complex128).view(channels, -1) for one in both)
    return tuple(hankel_of_modes(*mode) for mode in zip(decay, weight, strict=True))


def hankel_of_modes(decay: Complex[Tensor, " M"], weight: Complex[Tensor, " M"]) -> Hankel:
    """The same three of the endless kernel Re(sum of weight decay^k), in an orthonormal basis.

    The basis spans the modes: P <= 2 M. In it the unit of lag 0 is the first row of the basis.

    K[i + j] is a form in the real and imaginary parts of decay^i and decay^j, of one 2 x 2 block per mode. Taken apart
    into that form and the QR factors of those parts nothing is squared, as in a product of Gramians, and no accuracy is
    lost. The factor of 2 n rows comes from that of n, until the slowest mode is over.
    """
    rate, angle = -decay.abs().log(), decay.angle()
    used = torch.stack([torch.ones_like(rate), decay.imag], -1).flatten() != 0  # real modes have no imaginary part
    rows, lags = torch.ones_like(decay).unsqueeze(0), 1
    first = torch.ones(1, dtype=rate.dtype)
    while lags * rate.min() < -math.log(EPS):
        ahead = torch.polar(torch.exp(-lags * rate), lags * angle)
        twice = torch.view_as_real(torch.cat([rows, rows * ahead])).flatten(1)
        basis, factor = torch.linalg.qr(twice[:, used])
        rows = factor.new_zeros(len(factor), len(used)).index_copy(1, used.nonzero().squeeze(1), factor)
        rows, first = torch.view_as_complex(rows.unflatten(1, (-1, 2))), first @ basis[: len(first)]
        lags = 2 * lags
    basis, both = torch.view_as_real(rows), []
    for factor in (weight, weight * decay):
        block = torch.stack([factor.real, -factor.imag, -factor.imag, -factor.real], -1).unflatten(-1, (2, 2))
        both.append(torch.einsum("pms,mst,qmt->pq", basis, block, basis))
    return both[0], both[1], first


def damped(decay: Complex[Tensor, " M"], length: int) -> Float[Tensor, "L 2*M"]:
    """Two columns per mode, real and imaginary part of decay^k: Re(weight decay^k) has the factors Re, -Im weight."""
    return torch.view_as_real(powers(decay.unsqueeze(0), length)[0].T.resolve_conj()).flatten(1)


def realised(
    matrix: Float[Tensor, "P P"], shifted: Float[Tensor, "P P"], first: Float[Tensor, " P"], order: int
) -> tuple[Float[Tensor, "n n"], Float[Tensor, " n"], Float[Tensor, " n"]]:
    """Realise a Hankel matrix by its `order` largest states above rounding: A, B and C with K[k] = C A^k B.

    The whole realisation is balanced, and this one is its leading block.
    """
    values, vectors = torch.linalg.eigh(matrix)
    largest = values.abs().argsort(descending=True)[:order]
    largest = largest[values[largest].abs() > len(matrix) * EPS * values.abs().max()]
    values, vectors = values[largest], vectors[:, largest]
    root, sign = values.abs().sqrt(), values.sign()
    # For a symmetric matrix the singular vectors on the right are those on the left, with the eigenvalues' signs.
    A = vectors.T @ shifted @ vectors * sign / (root * root.unsqueeze(1))
    C = first @ vectors * root
    return A, sign * C, C


def settled(A: Float[Tensor, "*C n n"]) -> Float[Tensor, "*C n n"]:
    """A system without entries far below rounding, with which LAPACK's iterations for eigenvalues may not end."""
    return A if A.numel() == 0 else A.where(A.abs() > EPS**2 * A.abs().amax((-2, -1), keepdim=True), 0)


def decays(A: Float[Tensor, "n n"]) -> Complex[Tensor, " M"]:
    """Decays of a system's modes, one of each pair; |decay| < 1: what would grow is mirrored at the unit circle."""
    return _mirrored(_one_of_each(torch.linalg.eigvals(settled(A))))


def diagonal(
    A: Float[Tensor, "n n"], B: Float[Tensor, " n"], C: Float[Tensor, " n"]
) -> tuple[Complex[Tensor, " M"], Complex[Tensor, " M"]]:
    """Decays and weights of the modes that are the system A, B, C, one of each pair with twice its weight."""
    values, vectors = torch.linalg.eig(settled(A))
    # Where two modes nearly meet, least squares: their vectors do, too, and an inverse may not exist.
    into = torch.linalg.lstsq(vectors, B.to(vectors.dtype).unsqueeze(1), driver="gelsd").solution.squeeze(1)
    weight = (C.to(vectors.dtype) @ vectors) * into
    decay, weight = _one_of_each(values), weight[values.imag >= 0]
    return _mirrored(decay), torch.where(decay.imag > 0, 2 * weight, weight.real)


def _one_of_each(values: Complex[Tensor, " n"]) -> Complex[Tensor, " M"]:
    return values[values.imag >= 0]


def _mirrored(decay: Complex[Tensor, " M"]) -> Complex[Tensor, " M"]:
    """Slow ones stay slow. Of a layer only rounding puts a decay outside of the circle."""
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
