"""S4D, the diagonal state space layer: one linear time-invariant system per channel, seen in two ways.

    h'(t) = A h(t) + u(t),  y(t) = Re(C h(t)) + skip u(t),  A diagonal, B fixed to one

Discretised with step dt it is a recurrence, `recurrent`, and a convolution with the kernel K[k] = Re(C A_bar^k B_bar),
`forward`. A system of N real states holds M modes: N/2 that stand for a conjugate pair each, or N real ones.
Source: Gu, Goel, Gupta and Ré (2022), https://arxiv.org/abs/2206.11893. Symbols: `lib/__init__.py`.
"""

import math
from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Complex, Float, Inexact
from torch import Tensor, nn

from lib.kernels.autocast import single
from lib.models.checks import check_beside, check_choice, check_count, check_number, check_shape, check_tensor
from lib.models.ssm.fft_convolution import causal_convolution
from lib.models.ssm.vandermonde import impulse_response


def initial_eigenvalues(name: str, states: int) -> Complex[Tensor, " M"]:
    """Eigenvalues of A in float64 precision, per unit of time: N/2, one of each conjugate pair, or N for "real".

    name     "lin", "inv", "legs" or "real"
    states   N >= 1, even where eigenvalues come in pairs
    raises   ValueError, quoting the name or the number of states
    source   section 4 of the paper: S4D-Lin, S4D-Inv, S4D-LegS, S4D-Real
    """
    check_choice("init", name, INITIAL)
    check_count("states", states)
    if name != "real" and states % 2:
        raise ValueError(f"states = {states}: init {name!r} holds conjugate pairs, an even number is needed")
    return torch.from_numpy(INITIAL[name](states)).to(torch.complex128)


def hippo_legs(states: int) -> tuple[Float[Tensor, "N N"], Float[Tensor, " N"]]:
    """The dense state matrix A and input vector B of HiPPO-LegS, in float64.

    raises   ValueError, quoting the number of states, for less than one
    source   Gu, Dao, Ermon, Rudra and Ré (2020), theorem 2, with S4's sign of A and without the factor 1/t
    """
    check_count("states", states)
    B = np.sqrt(2 * np.arange(states) + 1)
    A = -np.tril(np.outer(B, B), -1) - np.diag(np.arange(states) + 1.0)
    return torch.from_numpy(A), torch.from_numpy(B)


def zero_order_hold(a: Inexact[Tensor, "D M"], dt: Float[Tensor, "D 1"]) -> tuple[Tensor, Tensor]:
    """Discretise by zero-order hold, for an input that is constant during a step dt: A_bar and B_bar, (D, M) each."""
    return torch.exp(dt * a), torch.expm1(dt * a) / a


def bilinear(a: Inexact[Tensor, "D M"], dt: Float[Tensor, "D 1"]) -> tuple[Tensor, Tensor]:
    """Discretise by the trapezoidal rule with step dt: A_bar and B_bar, (D, M) each."""
    half = dt * a / 2
    return (1 + half) / (1 - half), dt / (1 - half)


class S4D(nn.Module):
    """D independent diagonal state space models, one per channel, in float32 or float64.

    Transforms and states are in float32 where weights, inputs or autocast are in half precision; outputs are in the
    input's dtype.

    dim             channels D >= 1
    states          N >= 1 real states per channel, even unless init is "real"
    init            "lin", "inv", "legs" or "real": where the eigenvalues of A start
    dt_min, dt_max  step sizes start log-uniform between them, in units of A's time
    discretisation  "zoh" or "bilinear"
    raises          ValueError, quoting the value, for a size, name or step that does not fit, and for an input
                    whose shape or dtype does not
    source          sections 3 and 4 of the paper
    """

    def __init__(
        self,
        dim: int,
        states: int = 64,
        init: str = "lin",
        dt_min: float = 1e-3,
        dt_max: float = 1e-1,
        *,
        discretisation: str = "zoh",
        generator: torch.Generator | None = None,
    ):
        super().__init__()
        check_count("dim", dim)
        check_choice("discretisation", discretisation, DISCRETISATIONS)
        check_number("dt_min", dt_min, above=0)
        check_number("dt_max", dt_max, dt_min, where=", which is dt_min")
        self.discretisation = discretisation
        a = initial_eigenvalues(init, states)
        shape = (dim, len(a))
        low, high = math.log(dt_min), math.log(dt_max)
        self.log_dt = nn.Parameter(low + (high - low) * torch.rand(dim, generator=generator))
        # The real part is stored as a logarithm, so that no gradient step makes it positive and the system unstable.
        self.log_a_real = nn.Parameter(torch.log(-a.real).to(self.log_dt).repeat(dim, 1))
        # Complex numbers are stored as pairs of real ones: nn.Module.double() leaves complex parameters as they are.
        if init == "real":
            self.register_parameter("a_imag", None)
            self.C = nn.Parameter(torch.randn(shape, generator=generator))
        else:
            self.a_imag = nn.Parameter(a.imag.to(self.log_dt).repeat(dim, 1))
            self.C = nn.Parameter(torch.randn(*shape, 2, generator=generator) / math.sqrt(2))
        self.skip = nn.Parameter(torch.randn(dim, generator=generator))

    def forward(self, x: Float[Tensor, "B T D"]) -> Float[Tensor, "B T D"]:
        """Filter T tokens by the convolution view, from a state of zeros: O(T log T) operations, all tokens at once."""
        self._check(x, "B", "T")
        given, x = x.dtype, x.to(single(x.dtype, self.skip.dtype))
        return (causal_convolution(x, self.kernel(x.shape[1])) + self.skip * x).to(given)

    def kernel(self, length: int) -> Float[Tensor, "D T"]:
        """The layer's impulse response at lags 0 .. T-1, without the skip, in single precision at least.

        length   T >= 1; memory grows as D (T + M sqrt(T)), not as D M T
        raises   ValueError, quoting the length
        source   section 3.2 of the paper: C times a Vandermonde matrix
        """
        check_count("length", length)
        decay, gain, output = (x.to(torch.promote_types(x.dtype, torch.float64)) for x in self.modes())
        return impulse_response(decay, output * gain, length, single(self.skip.dtype))

    def recurrent(
        self, x: Float[Tensor, "B T D"], state: Inexact[Tensor, "B D M"] | None = None
    ) -> tuple[Float[Tensor, "B T D"], Inexact[Tensor, "B D M"]]:
        """Filter T tokens by the recurrent view, one after another, from a state of zeros or that of an earlier call.

        returns  the outputs, and the state after the last token
        """
        self._check(x, "B", "T", state=state)
        modes = self.modes()
        state = self.initial_state(x.shape[0]) if state is None else state
        outputs = []
        for token in x.unbind(1):
            y, state = self._advance(modes, token, state)
            outputs.append(y)
        return torch.stack(outputs, dim=1), state

    def step(
        self, x: Float[Tensor, "B D"], state: Inexact[Tensor, "B D M"]
    ) -> tuple[Float[Tensor, "B D"], Inexact[Tensor, "B D M"]]:
        """Filter one token by the recurrent view; returns its output and the new state."""
        check_tensor("state", state)
        self._check(x, "B", state=state)
        return self._advance(self.modes(), x, state)

    def initial_state(
        self, batch: int, device: str | torch.device | None = None, dtype: torch.dtype | None = None
    ) -> Inexact[Tensor, "B D M"]:
        """The state before the first token: zeros, N real numbers per channel; complex unless init is "real"."""
        dtype = single(dtype or self.skip.dtype)
        dtype = dtype if self.a_imag is None else torch.promote_types(dtype, torch.complex64)
        return torch.zeros(batch, *self.log_a_real.shape, dtype=dtype, device=device or self.skip.device)

    def modes(self) -> tuple[Inexact[Tensor, "D M"], Inexact[Tensor, "D M"], Inexact[Tensor, "D M"]]:
        """A_bar, B_bar and C of every mode, C doubled where a mode stands for a pair."""
        a = -torch.exp(self.log_a_real.double())
        if self.a_imag is not None:
            a = torch.complex(a, self.a_imag.double())
        decay, gain = DISCRETISATIONS[self.discretisation](a, torch.exp(self.log_dt.double())[:, None])
        output = self.C.to(single(self.C.dtype))
        output = output if self.a_imag is None else 2 * torch.view_as_complex(output)
        # Worked out in double precision, rounded once: from two roundings of A_bar the views would drift apart with T.
        return decay.to(output.dtype), gain.to(output.dtype), output

    def _advance(self, modes: tuple[Tensor, Tensor, Tensor], x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        decay, gain, output = modes
        given, x = x.dtype, x.to(output.real.dtype)
        state = decay * state + gain * x[..., None]
        return ((output * state).sum(-1).real + self.skip * x).to(given), state

    def _check(self, x: Tensor, *axes: str, state: Tensor | None = None) -> None:
        dim, modes = self.log_a_real.shape
        check_shape("input", x, *axes, dim)
        check_beside("input", x, self.skip)
        if state is not None:
            check_shape("state", state, x.shape[0], dim, modes)


def _legs(states: int) -> np.ndarray:
    A, B = (matrix.numpy() for matrix in hippo_legs(states))
    # With P = B / sqrt(2), A + P P^T is normal: -1/2 plus an antisymmetric matrix, i times which is Hermitian.
    antisymmetric = A + np.outer(B, B) / 2 + np.eye(states) / 2
    frequencies = np.linalg.eigvalsh(-1j * antisymmetric)
    return -0.5 + 1j * frequencies[states // 2 :]  # ascending, in pairs of opposite sign


INITIAL: dict[str, Callable[[int], np.ndarray]] = {
    "lin": lambda states: -0.5 + 1j * np.pi * np.arange(states // 2),
    "inv": lambda states: -0.5 + 1j * states / np.pi * (states / (2 * np.arange(states // 2) + 1) - 1),
    "legs": _legs,
    "real": lambda states: -1.0 - np.arange(states),
}
DISCRETISATIONS = {"zoh": zero_order_hold, "bilinear": bilinear}
