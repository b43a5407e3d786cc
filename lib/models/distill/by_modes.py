"""Long kernels as few damped modes: by balanced truncation, or by choosing among a layer's own.

An order counts real states: a mode that stands for a conjugate pair has two, a real one has one. Either way the
weights are fitted last, to the L taps, and the modes that come out are stable. All of it runs in float64 on a CPU.
Symbols: `lib/__init__.py`.
"""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from lib.models.checks import check_count, check_kind, check_shape
from lib.models.distill.distilled import Distilled, distilled, taken, unit
from lib.models.distill.hankel import damped, hankel, hankel_of_modes, least_squares, pursuit, realised
from lib.models.distill.modes import EPS, Modes, system
from lib.models.ssm.s4d import S4D

CANCELLING = 1e-3  # a fit leaves out directions below a share of the largest one, up to this share, until
BOUND = 100.0  # its factors are at most so many times the kernel's largest tap,
WORTH = 0.2  # unless that loses more than this share of the kernel


def hankel_singular_values(source: S4D | Float[Tensor, "D L"], *, length: int = 1024) -> Float[Tensor, "D P"]:
    """Singular values, largest first, of each channel's Hankel matrix K[i + j]: the sizes of its states.

    A layer's are those of the whole system, one per state; a bank's those of what L // 2 rows and columns show.

    source   a layer, or a bank of L >= 2 taps
    length   taps of a layer's kernel
    raises   ValueError, quoting the value, for a kernel that is empty, too short or not finite
    """
    kernel, _, most = _taken(source, length)
    scale = unit(kernel, 1)
    values = scale.new_zeros(len(kernel), most)
    for row, (matrix, _) in zip(values, _hankels(source, kernel, scale), strict=True):
        found = torch.linalg.eigvalsh(matrix).abs().sort(descending=True).values[:most]
        row[: len(found)] = found  # of modes that are over at once there are fewer
    return values * scale


def balanced_truncation(source: S4D | Float[Tensor, "D L"], order: int, *, length: int = 1024) -> Distilled:
    """Reduce a kernel to the states that its past and its future share most, by Kung's method, channel by channel.

    Truncates the Hankel matrix, and reads the modes off its shifted copy. Of a layer, whose matrix has no end, that is
    balanced truncation, and the modes decay. Of a bank some would grow, at some orders: mirrored at the unit circle,
    they decay as well. Method: Kung (1978); with the shifted matrix, Juang and Pappa (1985),
    https://doi.org/10.2514/3.20031.

    source   a layer, or a bank of L >= 2 taps
    order    1 <= order real states, <= N of a layer, <= L // 2 of a bank
    length   taps of a layer's kernel
    raises   ValueError, quoting the value, for an order outside of that, and for an empty or non-finite kernel
    """
    kernel, skip, most = _taken(source, length)
    check_count("order", order, 1, most)
    decays = [realised(*matrices, order) for matrices in _hankels(source, kernel, unit(kernel, 1))]
    return _fitted("balanced_truncation", order, decays, kernel, skip)


def modal(layer: S4D, order: int, *, length: int = 1024) -> Distilled:
    """Reduce a layer to those of its own modes that explain most of its kernel, chosen one by one.

    Each is the best for what those before it leave unexplained (orthogonal matching pursuit). Among modes that differ
    little, as real ones do, the best one by one are not the best together. Modes of a trained kernel: Massaroli et al.
    (2023), arXiv 2310.18780.

    order    real states, from those of one mode to N; where modes are pairs, an odd order leaves one unused
    length   L >= 1 taps that count
    raises   TypeError for what is no S4D; ValueError, quoting the value, for an order or a length outside of that, and
             for a non-finite kernel
    """
    check_kind("layer", layer, S4D)
    kernel, skip = taken(layer, length)
    pair = 1 if layer.a_imag is None else 2
    check_count("order", order, pair, _states(layer))
    decays = []
    for decay, weight, taps in zip(*(x.cpu() for x in system(layer)), kernel / unit(kernel, 1), strict=True):
        decay = decay[weight != 0]
        # In an orthonormal basis of all modes and the kernel, nothing is lost, and columns are short.
        everything = torch.cat([damped(decay, length), taps.unsqueeze(1)], dim=1)
        short = torch.linalg.qr(everything, mode="r").R
        decays.append(decay[pursuit(short[:, :-1].unflatten(1, (-1, 2)), short[:, -1], order // pair)])
    return _fitted("modal", order, decays, kernel, skip)


def _taken(source: S4D | Tensor, length: int) -> tuple[Tensor, Tensor, int]:
    """Kernel, skip, and the most states that it can have."""
    kernel, skip = taken(source, length)
    if isinstance(source, S4D):
        return kernel, skip, _states(source)
    check_shape("kernel", kernel, "D", "L", L=2)
    return kernel, skip, kernel.shape[1] // 2


def _hankels(source: S4D | Tensor, kernel: Tensor, scale: Tensor) -> list[tuple[Tensor, Tensor]]:
    if isinstance(source, S4D):
        decay, weight = (x.cpu() for x in system(source))
        return [hankel_of_modes(*mode) for mode in zip(decay, weight / scale, strict=True)]
    return [hankel(taps) for taps in kernel / scale]


def _fitted(method: str, order: int, decays: list[Tensor], kernel: Float[Tensor, "D L"], skip: Tensor) -> Distilled:
    """Modes of these decays, one list per channel, whose weights bring them nearest to the L taps of the kernel."""
    most = max(1, *map(len, decays))
    decay = torch.stack([F.pad(own, (0, most - len(own))) for own in decays])
    weight, scale = torch.zeros_like(decay), unit(kernel, 1)
    # Fitted to the decays as the module rounds them, and only as far as its precision goes.
    rounded = Modes(decay, weight, skip.cpu()).decay().detach().to(decay.dtype)
    precision = max(torch.finfo(skip.dtype).eps, kernel.shape[1] * EPS)
    for channel, taps in enumerate(kernel / scale):
        count = len(decays[channel])
        columns = damped(rounded[channel, :count], len(taps)).unflatten(1, (-1, 2))
        columns[:, decays[channel].imag == 0, 1] = 0  # a real mode has a real weight
        factors = _without_cancelling(columns.flatten(1), taps, precision).unflatten(0, (-1, 2))
        weight[channel, :count] = torch.view_as_complex(factors).conj()
    achieved = (torch.where(decay.imag == 0, 1, 2) * (weight != 0)).sum(1)
    module = Modes(decay.to(skip.device), (weight * scale).to(skip.device), skip)
    return distilled(method, order, achieved, module, kernel)


def _without_cancelling(columns: Float[Tensor, "L n"], taps: Float[Tensor, " L"], precision: float) -> Tensor:
    """Least squares, with factors as small as they need be: the most accurate fit within the bound, if none loses much.

    Modes that lie close to one another can have factors of thousands that cancel. What is fitted so falls apart as soon
    as a mode moves, in training or in another precision.
    """
    bound, share = BOUND * taps.abs().max(), precision
    factors = least_squares(columns, taps, share)
    most = _missed(columns, factors, taps) + WORTH * torch.linalg.vector_norm(taps)
    while (factors.abs() > bound).any() and share < CANCELLING:
        share = min(10 * share, CANCELLING)
        smaller = least_squares(columns, taps, share)
        if _missed(columns, smaller, taps) > most:
            break
        factors = smaller
    return factors


def _missed(columns: Float[Tensor, "L n"], factors: Float[Tensor, " n"], taps: Float[Tensor, " L"]) -> Tensor:
    return torch.linalg.vector_norm(columns @ factors - taps)


def _states(layer: S4D) -> int:
    return layer.log_a_real.shape[1] * (1 if layer.a_imag is None else 2)
