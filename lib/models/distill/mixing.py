"""One system of few modes for all channels, in place of an S5's: what a dense kernel [L, D, D] is made of.

Symbols: `lib/__init__.py`.
"""

import math

import torch
from jaxtyping import Complex, Float
from torch import Tensor, nn

from lib.kernels.autocast import single
from lib.models.checks import check_count, check_dtype, check_finite, check_kind, check_number, check_shape
from lib.models.distill.distilled import Distilled, distilled, taken
from lib.models.distill.hankel import decays, settled
from lib.models.distill.modes import COMPLEX, EPS, FASTEST
from lib.models.ssm.s5 import S5, Mixing

System = tuple[Float[Tensor, "N N"], Float[Tensor, "N D"], Float[Tensor, "D N"]]


class MixingModes(Mixing):
    """A system of M damped modes with D inputs and outputs, without the step sizes that an S5 is trained through.

    It learns -log|decay| through its logarithm, so that no gradient step makes it unstable.

    decay   |decay| < 1
    enter   what the states take of the inputs
    leave   what the outputs take of the states; doubled where a mode stands for a conjugate pair
    skip    weight of the input itself
    raises  ValueError, quoting it, for sizes that do not fit, for what is not finite, and for a decay of one or more
    """

    def __init__(
        self,
        decay: Complex[Tensor, " M"],
        enter: Complex[Tensor, "M D"],
        leave: Complex[Tensor, "D M"],
        skip: Float[Tensor, " D"],
    ):
        super().__init__()
        check_shape("decay", decay, "M")
        check_shape("skip", skip, "D")
        check_shape("enter", enter, len(decay), len(skip))
        check_shape("leave", leave, len(skip), len(decay))
        for name, values in {"decay": decay, "enter": enter, "leave": leave}.items():
            check_dtype(name, values, *COMPLEX)
            check_finite(name, values)
        check_number("|decay|", decay.abs().max().item(), below=1)
        rate = -decay.detach().to(torch.complex128).abs().log()
        self.log_rate = nn.Parameter(rate.clamp(torch.finfo(skip.dtype).eps, FASTEST).log().to(skip.dtype))
        self.angle = nn.Parameter(decay.detach().to(torch.complex128).angle().to(skip.dtype))
        self.B, self.C = (
            nn.Parameter(torch.view_as_real(one.detach().resolve_conj()).to(skip.dtype, copy=True))
            for one in (enter, leave)
        )
        self.skip = nn.Parameter(skip.detach().clone())

    def modes(self) -> tuple[Complex[Tensor, " M"], Complex[Tensor, "M D"], Complex[Tensor, "D M"]]:
        """Decays, what enters the states and what leaves them."""
        slowest = math.log(torch.finfo(single(self.skip.dtype)).eps)
        rate = self.log_rate.double().clamp(slowest, math.log(FASTEST)).exp()
        B, C = (torch.view_as_complex(one.to(single(one.dtype))) for one in (self.B, self.C))
        return torch.polar(torch.exp(-rate), self.angle.double()).to(B.dtype), B, C


def balanced_mixing(layer: S5, order: int, *, length: int = 1024) -> Distilled:
    """Reduce an S5 to the states that its past and its future share most: its balanced realisation's leading block.

    At no frequency is the largest gain of the error above twice the sum of the dropped Hankel singular values
    (Al-Saggaf and Franklin, 1987).

    order    1 <= order real states, <= N
    length   taps over which the error is measured
    raises   TypeError for what is no S5; ValueError, quoting the value, for an order or a length outside of that
    """
    check_kind("layer", layer, S5)
    kernel, skip = taken(layer, length, dense=True)
    check_count("order", order, 1, 2 * len(layer.a_imag))
    A, B, C = _real(layer)
    values, into, out = _balancing(A, B, C)
    kept = values[:order] > len(A) * EPS * values[0]
    into, out = into[:, :order][:, kept], out[:, :order][:, kept]
    A, B, C = out.T @ A @ into, out.T @ B, C @ into
    found, vectors = torch.linalg.eig(settled(A))
    enter, leave = torch.linalg.solve(vectors, B.to(vectors.dtype)), C.to(vectors.dtype) @ vectors
    one = found.imag >= 0
    leave = leave[:, one] * torch.where(found[one].imag > 0, 2, 1)
    module = MixingModes(*(x.to(skip.device) for x in (decays(A), enter[one], leave)), skip)
    achieved = torch.full((len(skip),), int(kept.sum()))
    return distilled("balanced_truncation", order, achieved, module, kernel)


def mixing_singular_values(layer: S5) -> Float[Tensor, " N"]:
    """Hankel singular values of an S5, largest first: the sizes of its states."""
    check_kind("layer", layer, S5)
    return _balancing(*_real(layer))[0]


def _real(layer: S5) -> System:
    """A, B and C of real states: real and imaginary part of every mode."""
    decay, enter, leave = (x.detach().cpu().to(torch.complex128) for x in layer.modes())
    A = torch.cat(
        [
            torch.cat([torch.diag(decay.real), torch.diag(-decay.imag)], 1),
            torch.cat([torch.diag(decay.imag), torch.diag(decay.real)], 1),
        ]
    )
    return A, torch.cat([enter.real, enter.imag]), torch.cat([leave.real, -leave.imag], 1)


def _balancing(A: Tensor, B: Tensor, C: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Hankel singular values, and the maps from and into balanced states, of all of them above rounding."""
    reached, seen = (_factor(_gramian(*both)) for both in ((A, B), (A.T, C.T)))
    left, values, right = torch.linalg.svd(seen.T @ reached)
    root = values.clamp(min=values[0] * EPS).sqrt()
    return values, reached @ right.T / root, seen @ left / root


def _gramian(A: Tensor, B: Tensor) -> Tensor:
    """The sum of A^k B B^T A^kT over all lags, whose terms double in number."""
    total = B @ B.T
    while A.abs().max() > EPS:
        total, A = total + A @ total @ A.T, A @ A
    return total


def _factor(gramian: Tensor) -> Tensor:
    values, vectors = torch.linalg.eigh(gramian)
    return vectors * values.clamp(min=0).sqrt()
