"""A bank of damped modes: per channel, a sum of M complex exponentials, as any diagonalisable linear system is.

    h[t] = decay h[t-1] + x[t],  y[t] = Re(sum over the modes of C h[t]) + skip x[t],  K[k] = Re(sum of C decay^k)

The discrete-time counterpart of `lib.models.ssm.s4d`, without the steps and matrices that an S4D is trained through.
Symbols: `lib/__init__.py`.
"""

import copy
import math

import torch
from jaxtyping import Complex, Float
from torch import Tensor, nn

from lib.kernels.autocast import single
from lib.kernels.eager import readable
from lib.kernels.modes import recurrence
from lib.models.checks import (
    check_beside,
    check_count,
    check_dtype,
    check_finite,
    check_number,
    check_shape,
    check_tensor,
)
from lib.models.ssm.fft_convolution import causal_convolution
from lib.models.ssm.s4d import S4D
from lib.models.ssm.vandermonde import impulse_response

EPS = torch.finfo(torch.float64).eps
COMPLEX = (torch.complex64, torch.complex128)
FASTEST = 80.0  # -log|decay| of what is over after one token: its square is still a float32


def system(layer: "S4D | Modes") -> tuple[Complex[Tensor, "D M"], Complex[Tensor, "D M"]]:
    """Decays A_bar and weights C B_bar of a layer in double precision; weights are doubled where a mode is a pair."""
    layer = copy.deepcopy(layer).double()
    if isinstance(layer, Modes):
        return inside(layer.decay().detach()), layer.weight().detach()
    decay, gain, output = (x.detach().to(torch.complex128) for x in layer.modes())
    return inside(decay), output * gain


def inside(decay: Complex[Tensor, "*D"]) -> Complex[Tensor, "*D"]:
    """Decays of less than one in size: those that rounding has put on the unit circle move a little inside of it."""
    return decay * ((1 - 2 * EPS) / decay.abs()).clamp(max=1)


class Modes(nn.Module):
    """D independent sums of M damped modes, in float32 or float64, whichever the skip is in.

    Transforms and states are in float32 where weights, inputs or autocast are in half precision; outputs are in the
    input's dtype.

    Learns -log|decay| through its logarithm, so that no gradient step makes a system unstable. It is kept at one
    machine epsilon or more: any less, and rounding could lift |decay| to one. A channel with fewer modes than others
    is padded with C = 0.

    decay    |decay| < 1
    weight   C, what the states are read out with
    skip     weight of the input itself
    raises   ValueError, quoting the value or shape, for sizes that do not fit, for what is not finite, and for a decay
             of one or more; for an input or a state of another shape or dtype
    """

    def __init__(self, decay: Complex[Tensor, "D M"], weight: Complex[Tensor, "D M"], skip: Float[Tensor, " D"]):
        super().__init__()
        check_shape("decay", decay, "D", "M")
        check_shape("weight", weight, *decay.shape)
        check_shape("skip", skip, len(decay))
        check_dtype("decay", decay, *COMPLEX)
        check_dtype("weight", weight, *COMPLEX)
        check_dtype("skip", skip, torch.float32, torch.float64)
        for name, values in {"decay": decay, "weight": weight, "skip": skip}.items():
            check_finite(name, values)
        if readable(decay):
            check_number("|decay|", decay.abs().max().item(), below=1)
        rate = -decay.detach().to(torch.complex128).abs().log()
        bounded = rate.clamp(torch.finfo(skip.dtype).eps, FASTEST)
        self.log_rate = nn.Parameter(bounded.log().to(skip.dtype))
        self.angle = nn.Parameter(decay.detach().to(torch.complex128).angle().to(skip.dtype))
        # Complex numbers are stored as pairs of real ones: nn.Module.double() leaves complex parameters as they are.
        self.C = nn.Parameter(torch.view_as_real(weight.detach().resolve_conj()).to(skip.dtype, copy=True))
        self.skip = nn.Parameter(skip.detach().clone())

    @classmethod
    def of(cls, layer: S4D) -> "Modes":
        """Make the bank that is the same system as an S4D."""
        return cls(*system(layer), layer.skip)

    def forward(self, x: Float[Tensor, "B T D"]) -> Float[Tensor, "B T D"]:
        """Filter T tokens by the convolution view, from a state of zeros: to train with."""
        check_stream(x, "B", "T", modes=self.C, skip=self.skip)
        given, x = x.dtype, x.to(single(x.dtype, self.skip.dtype))
        return (causal_convolution(x, self.kernel(x.shape[1])) + self.skip * x).to(given)

    def kernel(self, length: int) -> Float[Tensor, "D L"]:
        """The bank's impulse response at lags 0 .. L-1, without the skip.

        raises   ValueError, quoting the length, for less than 1
        """
        check_count("length", length)
        return impulse_response(self.decay(), self.weight(), length, single(self.skip.dtype))

    def recurrent(
        self, x: Float[Tensor, "B T D"], state: Complex[Tensor, "B D M"] | None = None
    ) -> tuple[Float[Tensor, "B T D"], Complex[Tensor, "B D M"]]:
        """Filter T tokens by the recurrent view, from a state of zeros or that of an earlier call; returns the new one.

        On a CPU, in float32 and without a gradient, one fused loop: 6 M multiply-adds per channel and token.
        """
        check_stream(x, "B", "T", modes=self.C, skip=self.skip, state=state)
        state = self.initial_state(x.shape[0]) if state is None else state
        return recurrence(x, self.decay(), self.weight(), self.skip, state)

    def step(
        self, x: Float[Tensor, "B D"], state: Complex[Tensor, "B D M"]
    ) -> tuple[Float[Tensor, "B D"], Complex[Tensor, "B D M"]]:
        """Filter one token by the recurrent view; returns its output and the new state."""
        check_tensor("state", state)
        check_stream(x, "B", modes=self.C, skip=self.skip, state=state)
        given, x = x.dtype, x.to(single(x.dtype, self.skip.dtype))
        state = self.decay() * state + x.unsqueeze(-1)
        return ((self.weight() * state).sum(-1).real + self.skip * x).to(given), state

    def initial_state(
        self, batch: int, device: str | torch.device | None = None, dtype: torch.dtype | None = None
    ) -> Complex[Tensor, "B D M"]:
        """The state before the first token: zeros, a complex number per mode."""
        dtype = torch.promote_types(dtype or self.skip.dtype, torch.complex64)
        return torch.zeros(batch, *self.log_rate.shape, dtype=dtype, device=device or self.skip.device)

    def decay(self) -> Complex[Tensor, "D M"]:
        """The decays, computed in double precision and rounded once, so that both views have the same system."""
        slowest = math.log(torch.finfo(single(self.skip.dtype)).eps)
        rate = self.log_rate.double().clamp(slowest, math.log(FASTEST)).exp()
        return torch.polar(torch.exp(-rate), self.angle.double()).to(
            torch.promote_types(self.skip.dtype, torch.complex64)
        )

    def weight(self) -> Complex[Tensor, "D M"]:
        """What the states are read out with."""
        return torch.view_as_complex(self.C.to(single(self.C.dtype)))


def check_stream(x: Tensor, *axes: str, modes: Tensor, skip: Tensor, state: Tensor | None = None) -> None:
    """Accept an input of these axes and of D channels, and a state of one complex number per mode.

    modes    (D, M, 2): what there is of each mode
    skip     (D): in whose precision all of it is
    raises   TypeError for what is no tensor; ValueError, quoting it, for another shape or dtype
    """
    check_shape("input", x, *axes, skip.shape[0])
    check_beside("input", x, skip)
    if state is not None:
        check_shape("state", state, x.shape[0], *modes.shape[:2])
        check_dtype("state", state, torch.promote_types(x.dtype, torch.complex64), where=", as in the parameters")


LAYERS = (S4D, Modes)  # whose kernels are endless sums of modes
