"""Long kernels as few damped modes: by balanced truncation, or by choosing among a layer's own.

An order counts real states: a mode that stands for a conjugate pair has two, a real one has one. The modes that come
out are stable. Balanced truncation of a layer keeps the weights of the truncated system, and with them a bound on all
lags; `balanced_refit` and `modal` fit weights to L taps, which promises nothing beyond. All of it runs in float64 on a
CPU. Symbols: `lib/__init__.py`.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from lib.models.checks import check_count, check_kind, check_many, check_shape
from lib.models.distill.distilled import Distilled, distilled, taken, unit
from lib.models.distill.hankel import (
    Hankel,
    damped,
    decays,
    diagonal,
    hankel,
    hankels,
    least_squares,
    pursuit,
    realised,
)
from lib.models.distill.mixing import balanced_mixing
from lib.models.distill.modes import EPS, LAYERS, Modes, system
from lib.models.ssm.s4d import S4D
from lib.models.ssm.s5 import S5

Layer = S4D | Modes
CANCELLING = 1e-3  # a fit leaves out directions below a share of the largest one, up to this share, until
BOUND = 100.0  # its factors are at most so many times the kernel's largest tap,
WORTH = 0.2  # unless that loses more than this share of the kernel


def hankel_singular_values(source: Layer | Float[Tensor, "D L"], *, length: int = 1024) -> Float[Tensor, "D P"]:
    """Singular values, largest first, of each channel's Hankel matrix K[i + j]: the sizes of its states.

    A layer's are those of the whole system, one per state; a bank's those of what L // 2 rows and columns show.

    source   a layer, or a bank of L >= 2 taps
    length   taps of a layer's kernel
    raises   ValueError, quoting the value, for a kernel that is empty, too short or not finite
    """
    kernel, _, most = _taken(source, length)
    scale = unit(kernel, 1)
    values = scale.new_zeros(len(kernel), most)
    for row, (matrix, *_) in zip(values, _hankels(source, kernel, scale), strict=True):
        found = torch.linalg.eigvalsh(matrix).abs().sort(descending=True).values[:most]
        row[: len(found)] = found  # of modes that are over at once there are fewer
    return values * scale


def balanced_truncation(source: Layer | S5 | Float[Tensor, "D L"], order: int, *, length: int = 1024) -> Distilled:
    """Reduce a kernel to the states that its past and its future share most, channel by channel.

    A layer keeps the leading block of its balanced realisation, weights included: at no frequency is the kernel off by
    more than twice the sum of the dropped Hankel singular values, and neither is it in the 2-norm over any number of
    taps (Al-Saggaf and Franklin, 1987). Rounding comes on top, that of float32 in a layer of float32.
    A bank ends with its taps, and no such bound holds: Kung's method (1978, with the shifted matrix of Juang and Pappa,
    1985, https://doi.org/10.2514/3.20031) gives the decays, which are mirrored at the unit circle where they would
    grow, and the weights are fitted to the taps.

    source   a layer, an S5, whose states serve all channels together, or a bank of L >= 2 taps
    order    1 <= order real states, <= N of a layer, <= L // 2 of a bank
    length   taps of a layer's kernel over which the error is measured
    raises   ValueError, quoting the value, for an order outside of that, and for an empty or non-finite kernel
    """
    if isinstance(source, S5):
        return balanced_mixing(source, order, length=length)
    name = "balanced_truncation"
    kernel, skip, systems = _truncated(source, order, length)
    if not isinstance(source, LAYERS):
        return _fitted(name, order, [decays(A) for A, *_ in systems], kernel, skip)
    decay, weight = map(padded, zip(*(diagonal(*system) for system in systems), strict=True))
    return of_modes(name, order, decay, weight, kernel, skip)


def balanced_refit(source: Layer | Float[Tensor, "D L"], order: int, *, length: int = 1024) -> Distilled:
    """Reduce a kernel to the decays of `balanced_truncation`, with weights that are fitted to its L taps.

    Nearer than `balanced_truncation` on these taps, and without its bound: beyond them slow modes are not held by
    anything. Use it where no sequence is longer than L, and measure with `error_over` where one may be.

    source   a layer, or a bank of L >= 2 taps
    order    as for `balanced_truncation`
    length   taps of a layer's kernel that count
    raises   ValueError, quoting the value, for an order outside of that, and for an empty or non-finite kernel
    """
    kernel, skip, systems = _truncated(source, order, length)
    return _fitted("balanced_refit", order, [decays(A) for A, *_ in systems], kernel, skip)


def error_over(layer: Layer, found: Distilled, length: int) -> Float[Tensor, " D"]:
    """Error of what stands for a layer by channel over T taps, which may be more than it was fitted to.

    length   T; as `Distilled.error`, the 2-norm of what is lost of these taps, relative to that of the taps
    raises   TypeError for what is no S4D and no Distilled; ValueError, quoting it, for a length below 1 or above four
             million, and for a layer of another number of channels
    """
    check_kind("layer", layer, LAYERS, "S4D")
    check_kind("found", found, Distilled)
    kernel, _ = taken(layer, length)
    check_many("layer", kernel, len(found.error), "channels")
    return distilled(found.method, found.order, found.achieved, found.module, kernel).error


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
    check_count("order", order, pair, states(layer))
    chosen = []
    for decay, weight, taps in zip(*(x.cpu() for x in system(layer)), kernel / unit(kernel, 1), strict=True):
        decay = decay[weight != 0]
        # In an orthonormal basis of all modes and the kernel, nothing is lost, and columns are short.
        everything = torch.cat([damped(decay, length), taps.unsqueeze(1)], dim=1)
        short = torch.linalg.qr(everything, mode="r").R
        chosen.append(decay[pursuit(short[:, :-1].unflatten(1, (-1, 2)), short[:, -1], order // pair)])
    return _fitted("modal", order, chosen, kernel, skip)


def _taken(source: Layer | Tensor, length: int) -> tuple[Tensor, Tensor, int]:
    """Kernel, skip, and the most states that it can have."""
    kernel, skip = taken(source, length)
    if isinstance(source, LAYERS):
        return kernel, skip, states(source)
    check_shape("kernel", kernel, "D", "L", L=2)
    return kernel, skip, kernel.shape[1] // 2


def _truncated(source: Layer | Tensor, order: int, length: int) -> tuple[Tensor, Tensor, list[tuple[Tensor, ...]]]:
    """Kernel, skip, and by channel A, B, C of the largest states; those of a kernel whose largest tap is one."""
    kernel, skip, most = _taken(source, length)
    check_count("order", order, 1, most)
    return kernel, skip, [realised(*matrices, order) for matrices in _hankels(source, kernel, unit(kernel, 1))]


def _hankels(source: Layer | Tensor, kernel: Tensor, scale: Tensor) -> Sequence[Hankel]:
    if isinstance(source, LAYERS):
        decay, weight = (x.cpu() for x in system(source))
        return hankels(decay, weight / scale)
    return [hankel(taps) for taps in kernel / scale]


def _fitted(method: str, order: int, own: list[Tensor], kernel: Float[Tensor, "D L"], skip: Tensor) -> Distilled:
    """Modes of these decays, one list per channel, whose weights bring them nearest to the L taps of the kernel."""
    decay = padded(own)
    weight = torch.zeros_like(decay)
    # Fitted to the decays as the module rounds them, and only as far as its precision goes.
    rounded = Modes(decay, weight, skip.cpu()).decay().detach().to(decay.dtype)
    precision = max(torch.finfo(skip.dtype).eps, kernel.shape[1] * EPS)
    for channel, taps in enumerate(kernel / unit(kernel, 1)):
        count = len(own[channel])
        columns = damped(rounded[channel, :count], len(taps)).unflatten(1, (-1, 2))
        columns[:, own[channel].imag == 0, 1] = 0  # a real mode has a real weight
        factors = _without_cancelling(columns.flatten(1), taps, precision).unflatten(0, (-1, 2))
        weight[channel, :count] = torch.view_as_complex(factors).conj()
    return of_modes(method, order, decay, weight, kernel, skip)


def padded(rows: Sequence[Tensor]) -> Tensor:
    """Stack rows, with zeros behind the shorter ones."""
    most = max(1, *map(len, rows))
    return torch.stack([F.pad(row, (0, most - len(row))) for row in rows])


def of_modes(
    method: str, order: int, decay: Tensor, weight: Tensor, kernel: Float[Tensor, "D L"], skip: Tensor
) -> Distilled:
    """What stands for a kernel: modes whose weights are those of the kernel with a largest tap of one."""
    achieved = (torch.where(decay.imag == 0, 1, 2) * (weight != 0)).sum(1)
    module = Modes(decay.to(skip.device), (weight * unit(kernel, 1)).to(skip.device), skip)
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


def states(layer: Layer) -> int:
    """Real states N of a layer: the most that a reduction can have."""
    if isinstance(layer, Modes):
        return 2 * layer.angle.shape[1]
    return layer.log_a_real.shape[1] * (1 if layer.a_imag is None else 2)
