"""Modes in place of a layer's kernel at a minimum of the error's 2-norm over all lags (H2), channel by channel.

With K(q) the sum of kernel[k] q^k, modes of decays d are best where they have K's values and derivatives at the
conjugates of d: the poles mirrored in the unit circle (Meier and Luenberger, 1967). The modes that interpolate K at
some points have decays of their own; these are the next points, until they stay.
Sources: Gugercin, Antoulas and Beattie (2008), https://doi.org/10.1137/060666123; in discrete time Bunse-Gerstner,
Kubalinska, Vossen and Wilczek (2010), https://doi.org/10.1016/j.cam.2008.12.029; for layers of state space models
Sakamoto and Sato (2025), arXiv 2507.10078. All of it runs in float64 on a CPU. Symbols: `lib/__init__.py`.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from lib.models.checks import check_count, check_kind
from lib.models.distill.by_modes import Layer, of_modes, padded, states
from lib.models.distill.distilled import Distilled, taken, unit
from lib.models.distill.hankel import diagonal, hankels, realised, settled
from lib.models.distill.modes import EPS, LAYERS, inside, system

ROUNDS = 160  # of interpolation, at most
WHOLE = 40  # rounds that take the new points; then, from the best so far, so many half of the way, a quarter, an eighth
STILL = 1e-10  # a move of all points, relative to their distance from the unit circle, that ends the rounds
LEAST = 1e-300  # orders real points among themselves, and moves none past another kind


@dataclass(frozen=True)
class Poles:
    """Real endless kernels as sums of weight decay^k over P decays, with the conjugate of every complex one."""

    decay: Complex[Tensor, "C P"]
    weight: Complex[Tensor, "C P"]

    @classmethod
    def of(cls, decay: Complex[Tensor, "C M"], weight: Complex[Tensor, "C M"]) -> "Poles":
        """The kernels Re(sum of weight decay^k): every mode and its conjugate, half of the weight each."""
        return cls(torch.cat([decay, decay.conj()], 1), torch.cat([weight, weight.conj()], 1) / 2)

    def __getitem__(self, rows: Tensor) -> "Poles":
        return Poles(self.decay[rows], self.weight[rows])

    def where(self, rows: Tensor, other: "Poles") -> "Poles":
        """These kernels, with others in some rows."""
        decay = torch.where(rows.unsqueeze(1), other.decay, self.decay)
        return Poles(decay, torch.where(rows.unsqueeze(1), other.weight, self.weight))

    def at(self, points: Complex[Tensor, "C n"]) -> Complex[Tensor, "C n"]:
        """The transfer function K(q) at points inside the unit circle."""
        return (self.weight.unsqueeze(2) / (1 - self.decay.unsqueeze(2) * points.unsqueeze(1))).sum(1)

    def inner(self, other: "Poles") -> Float[Tensor, " C"]:
        """Inner products of two kernels over all lags."""
        return (self.at(other.decay.conj()) * other.weight.conj()).sum(1).real

    def missed(self, other: "Poles") -> Float[Tensor, " C"]:
        """Squared H2 norms of differences; rounding may leave one a little below zero."""
        return self.inner(self) - 2 * self.inner(other) + other.inner(other)

    def rounding(self) -> Float[Tensor, " C"]:
        """What squared H2 norms may be off by: modes of large weights that cancel leave few digits."""
        each = self.weight.abs().unsqueeze(2) / (1 - self.decay.unsqueeze(2) * self.decay.conj().unsqueeze(1)).abs()
        return 4 * EPS * (each.sum(1) * self.weight.abs()).sum(1)

    def fitted(self, decay: Complex[Tensor, "C n"]) -> "Poles":
        """Kernels of these decays that are nearest over all lags: they interpolate at the decays' conjugates."""
        gram = 1 / (1 - decay.conj().unsqueeze(2) * decay.unsqueeze(1))
        wanted = self.at(decay.conj()).unsqueeze(2)
        return Poles(decay, torch.linalg.lstsq(gram, wanted, rcond=EPS, driver="gelsd").solution.squeeze(2))


def h2_optimal(layer: Layer, order: int, *, length: int = 1024) -> Distilled:
    """Reduce a kernel to states whose error over all lags is at a minimum, channel by channel.

    The rounds start with the decays of balanced truncation, and once more with those of the layer's modes of largest
    energy. The best of all rounds is kept, or balanced truncation itself: its H2 error is exceeded by no more than
    rounding, 1e-7 of the kernel's norm. Over a few taps it may be. The minimum is a local one, and rounds that do not
    settle, as of one state for a kernel that oscillates, end near it.

    order    1 <= order real states, <= N
    length   taps over which the error that is reported is measured
    raises   TypeError for what is no layer of modes; ValueError, quoting the value, for an order or a length outside
             of that, and for a non-finite kernel
    """
    check_kind("layer", layer, LAYERS, "S4D")
    kernel, skip = taken(layer, length)
    check_count("order", order, 1, states(layer))
    decay, weight = (x.cpu() for x in system(layer))
    weight = weight / unit(kernel, 1)
    found = [diagonal(*realised(*matrices, order)) for matrices in hankels(decay, weight)]
    counts = [int(torch.where(own.imag == 0, 1, 2).sum()) for own, _ in found]
    rows = torch.tensor([row for row, count in enumerate(counts) if count == order], dtype=torch.long)
    if len(rows):  # of modes that are over at once a channel has fewer than the order, and is balanced exactly
        kernels = Poles.of(decay, weight)[rows]
        start = Poles(*(torch.stack([_closed(one, kind) for one in (found[row] for row in rows)]) for kind in (0, 1)))
        best = interpolated(kernels, start)
        loud = kernels.fitted(_loudest(kernels, order))
        other = interpolated(kernels, loud)
        nearer = kernels.missed(other) + other.rounding() < kernels.missed(best)
        best = best.where(nearer, other)
        for row, own, factor in zip(rows.tolist(), best.decay, best.weight, strict=True):
            one = own.imag >= 0
            found[row] = own[one], torch.where(own[one].imag > 0, 2 * factor[one], factor[one].real)
    return of_modes("h2_optimal", order, *map(padded, zip(*found, strict=True)), kernel, skip)


def interpolated(kernels: Poles, start: Poles) -> Poles:
    """The nearest to some kernels of all rounds of interpolation, and of what they start from.

    start    of n decays for each of C kernels
    """
    best, missed = start, kernels.missed(start)
    points, moving = start.decay, torch.arange(len(missed))
    for number in range(ROUNDS):
        if number and number % WHOLE == 0:
            points = best.decay
        own, before = kernels[moving], points[moving]
        found = own.fitted(_decays(own, before))
        lost = own.missed(found)
        better = lost + found.rounding() < missed[moving]
        rows = moving[better]
        missed = missed.index_copy(0, rows, lost[better])
        best = Poles(
            *(old.index_copy(0, rows, new[better]) for old, new in zip(_parts(best), _parts(found), strict=True))
        )
        step = (found.decay.unsqueeze(2) - before.unsqueeze(1)).abs().amin(2) / (1 - found.decay.abs())
        after = found.decay if number < WHOLE else _between(before, found.decay, 0.5 ** (number // WHOLE))
        points = points.index_copy(0, moving, after)
        moving = moving[step.amax(1) > STILL]
        if not len(moving):
            break
    return best


def _parts(poles: Poles) -> tuple[Tensor, Tensor]:
    return poles.decay, poles.weight


def _loudest(kernels: Poles, order: int) -> Complex[Tensor, "C n"]:
    """The kernels' own decays of largest energy, and their conjugates; for an odd order the size of one more."""
    modes = kernels.decay.shape[1] // 2
    decay, weight = kernels.decay[:, :modes], kernels.weight[:, :modes]
    energy = weight.abs().square() / (1 - decay.abs().square())
    pairs = bool((decay.imag != 0).any())
    own = decay.gather(1, energy.topk(min(modes, -(-order // 2) if pairs else order)).indices)
    if not pairs:
        return own
    return torch.cat([own[:, : order // 2], own[:, : order // 2].conj(), own[:, order // 2 :].abs() + 0j], 1)


def _closed(modes: tuple[Tensor, Tensor], kind: int) -> Tensor:
    """Decays (0) or weights (1) of modes and of their conjugates."""
    decay, pair = modes[0], modes[0].imag > 0
    own = decay if kind == 0 else torch.where(pair, modes[1] / 2, modes[1])
    return torch.cat([own, own[pair].conj()])


def _decays(kernels: Poles, points: Complex[Tensor, "C n"]) -> Complex[Tensor, "C n"]:
    """Decays of the systems of n states that have the kernels' values and derivatives at n points.

    The projection of a real system onto the span of its states' transfer functions at the points, along those of its
    transpose. A conjugate pair of points gives the real and the imaginary part of a column.
    """
    modes = kernels.decay.shape[1] // 2
    decay, weight = kernels.decay[:, :modes, None], 2 * kernels.weight[:, :modes, None]
    own, other = (1 / (1 - one * points.unsqueeze(1)) for one in (decay, decay.conj()))
    right = torch.cat([(own + other) / 2, (own - other) / 2j], 1)
    own, other = weight * own / 2, weight.conj() * other / 2
    left = torch.cat([own + other, 1j * (own - other)], 1)
    right, left = (
        torch.linalg.qr(torch.where(points.unsqueeze(1).imag < 0, one.imag, one.real)).Q for one in (right, left)
    )
    real, imaginary = right.chunk(2, 1)
    ahead = torch.cat([decay.real * real - decay.imag * imaginary, decay.imag * real + decay.real * imaginary], 1)
    advance = torch.linalg.lstsq(left.mT @ right, left.mT @ ahead, driver="gelsd").solution
    advance = settled(advance.nan_to_num(0, 0, 0))  # a system that cannot be found is not the best one
    found = torch.linalg.eigvals(advance)
    return inside(found.where(found.abs() <= 1, 1 / found.conj()))


def _between(before: Complex[Tensor, "C n"], after: Complex[Tensor, "C n"], share: float) -> Complex[Tensor, "C n"]:
    """A share of the way, where there are as many real points before as after; else all of it."""
    before, after = (
        one.gather(1, (one.imag + (one.imag == 0) * LEAST * one.real).argsort(1)) for one in (before, after)
    )
    alike = ((before.imag == 0).sum(1) == (after.imag == 0).sum(1)).unsqueeze(1)
    return torch.where(alike, torch.lerp(before, after, share), after)
