"""S5: one diagonal state space system with D inputs and D outputs, whose states all channels share.

    h'(t) = A h(t) + B u(t),  y(t) = Re(C h(t)) + skip u(t),  A diagonal, a step size for every mode

Discretised it is a recurrence of M = N / 2 modes, each of which stands for a conjugate pair, and a convolution with a
dense kernel K[k] = Re(C A_bar^k B_bar), one of L taps for every pair of channels.
Source: Smith, Warrington and Linderman (2023), https://arxiv.org/abs/2208.04933. Symbols: `lib/__init__.py`.
"""

import math

import torch
from jaxtyping import Complex, Float
from torch import Tensor, nn

from lib.kernels.autocast import off, single
from lib.models.checks import check_beside, check_choice, check_count, check_number, check_shape, check_tensor
from lib.models.ssm.s4d import hippo_legs, initial_eigenvalues, zero_order_hold
from lib.models.ssm.vandermonde import powers


def initial_system(init: str, states: int) -> tuple[Complex[Tensor, " M"], Complex[Tensor, "M N"]]:
    """Eigenvalues of A in float64 precision, one of each pair, and the map from N real states into their basis.

    init     "legs", the normal part of HiPPO-LegS, or "real", whose states have decays of their own
    raises   ValueError, quoting the value, for another init, and for an odd number of states where they are pairs
    source   the paper, on initialisation
    """
    check_choice("init", init, ("legs", "real"))
    real = initial_eigenvalues(init, states)
    if init == "real":
        return real, torch.eye(states, dtype=torch.complex128)
    A, column = hippo_legs(states)
    antisymmetric = A + torch.outer(column, column) / 2 + torch.eye(states) / 2
    frequencies, vectors = torch.linalg.eigh(-1j * antisymmetric)  # ascending, in pairs of opposite sign
    return -0.5 + 1j * frequencies[states // 2 :], vectors[:, states // 2 :].mH


def mixed(
    x: Float[Tensor, "B T D"],
    decay: Complex[Tensor, " M"],
    enter: Complex[Tensor, "M D"],
    leave: Complex[Tensor, "D M"],
) -> Float[Tensor, "B T D"]:
    """Filter T tokens by h[t] = decay h[t-1] + enter x[t], y[t] = Re(leave h[t]), from zeros, all tokens at once.

    A convolution by FFT for every mode, and two products with what mixes channels: O(T (log T + D) M).
    """
    points = 2 * x.shape[1]
    response = powers(decay.to(torch.complex128).unsqueeze(0), x.shape[1])[0].to(decay.dtype)
    with off(x):
        entering = torch.view_as_complex(torch.einsum("btd,mdz->bmtz", x, torch.view_as_real(enter)).contiguous())
        state = torch.fft.ifft(torch.fft.fft(entering, points) * torch.fft.fft(response, points), points)
        state = torch.view_as_real(state[..., : x.shape[1]])
        return torch.einsum("bmtz,dmz->btd", state, torch.view_as_real(leave.conj().resolve_conj()))


def mixing_kernel(
    decay: Complex[Tensor, " M"], enter: Complex[Tensor, "M D"], leave: Complex[Tensor, "D M"], length: int
) -> Float[Tensor, "L D D"]:
    """Dense kernel of the same system at lags 0 .. L-1: taps, outputs, inputs."""
    return torch.einsum(
        "mk,om,mi->koi", powers(decay.to(torch.complex128).unsqueeze(0), length)[0].to(leave.dtype), leave, enter
    ).real


class Mixing(nn.Module):
    """What layers of one system for all channels share; a layer adds `modes`, and its weight `skip` of the input.

    raises   ValueError, quoting it, for an input or a state whose shape or dtype does not fit
    """

    skip: Tensor

    def modes(self) -> tuple[Complex[Tensor, " M"], Complex[Tensor, "M D"], Complex[Tensor, "D M"]]:
        """Decays, what enters the states and what leaves them, the last doubled where a mode stands for a pair."""
        raise NotImplementedError

    def forward(self, x: Float[Tensor, "B T D"]) -> Float[Tensor, "B T D"]:
        """Filter T tokens from a state of zeros, all tokens at once."""
        check_shape("input", x, "B", "T", len(self.skip))
        check_beside("input", x, self.skip)
        given, x = x.dtype, x.to(single(x.dtype, self.skip.dtype))
        return (mixed(x, *self.modes()) + self.skip * x).to(given)

    def kernel(self, length: int) -> Float[Tensor, "L D D"]:
        """The impulse response at lags 0 .. L-1, without the skip: taps, outputs, inputs.

        raises   ValueError, quoting the length, for less than 1
        """
        check_count("length", length)
        return mixing_kernel(*self.modes(), length)

    def step(
        self, x: Float[Tensor, "B D"], state: Complex[Tensor, "B M"]
    ) -> tuple[Float[Tensor, "B D"], Complex[Tensor, "B M"]]:
        """Filter one token by the recurrence; returns its output and the new state."""
        check_shape("input", x, "B", len(self.skip))
        check_beside("input", x, self.skip)
        check_tensor("state", state)
        decay, enter, leave = self.modes()
        check_shape("state", state, len(x), len(decay))
        given, x = x.dtype, x.to(single(x.dtype, self.skip.dtype))
        state = decay * state + x.to(enter.dtype) @ enter.T
        return ((state @ leave.T).real + self.skip * x).to(given), state

    def initial_state(
        self, batch: int, device: str | torch.device | None = None, dtype: torch.dtype | None = None
    ) -> Complex[Tensor, "B M"]:
        """The state before the first token: zeros, a complex number per mode."""
        dtype = torch.promote_types(dtype or self.skip.dtype, torch.complex64)
        return torch.zeros(batch, len(self.modes()[0]), dtype=dtype, device=device or self.skip.device)


class S5(Mixing):
    """S5's layer in float32 or float64, initialised by the normal part of HiPPO-LegS, by zero-order hold.

    dim             channels D >= 1
    states          N >= 2 real states in all, even
    dt_min, dt_max  step sizes start log-uniform between them, in units of A's time
    raises          ValueError, quoting the value, for a size or a step that does not fit
    source          the paper, with one block of HiPPO
    """

    def __init__(
        self,
        dim: int,
        states: int = 64,
        dt_min: float = 1e-3,
        dt_max: float = 1e-1,
        *,
        generator: torch.Generator | None = None,
    ):
        super().__init__()
        check_count("dim", dim)
        check_number("dt_min", dt_min, above=0)
        check_number("dt_max", dt_max, dt_min, where=", which is dt_min")
        a, inward = initial_system("legs", states)
        self.log_a_real = nn.Parameter(torch.log(-a.real).float())
        self.a_imag = nn.Parameter(a.imag.float())
        low, high = math.log(dt_min), math.log(dt_max)
        self.log_dt = nn.Parameter(low + (high - low) * torch.rand(len(a), generator=generator))
        # Complex numbers are stored as pairs of real ones: nn.Module.double() leaves complex parameters as they are.
        B = inward @ torch.randn(states, dim, generator=generator).to(inward) / math.sqrt(dim)
        C = torch.randn(dim, states, generator=generator).to(inward) @ inward.mH / math.sqrt(states)
        self.B, self.C = (nn.Parameter(torch.view_as_real(one.resolve_conj()).float()) for one in (B, C))
        self.skip = nn.Parameter(torch.randn(dim, generator=generator))

    def modes(self) -> tuple[Complex[Tensor, " M"], Complex[Tensor, "M D"], Complex[Tensor, "D M"]]:
        """A_bar, B_bar and C of every mode, C doubled."""
        a = torch.complex(-torch.exp(self.log_a_real.double()), self.a_imag.double())
        decay, gain = zero_order_hold(a.unsqueeze(1), torch.exp(self.log_dt.double()).unsqueeze(1))
        B, C = (torch.view_as_complex(one.to(single(one.dtype))) for one in (self.B, self.C))
        return decay.squeeze(1).to(B.dtype), gain.to(B.dtype) * B, 2 * C
