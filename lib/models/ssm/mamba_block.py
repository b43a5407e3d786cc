"""The Mamba block: projections, a causal convolution, a selective scan and a gate.

A block works with E = expand * D channels. It runs over a whole sequence, over one token (`step`), or over a
chunk from a state to the state after it; the three agree. Activations stay (B, T, E) in memory: the scan gets
transposed views, which its CPU kernel reads and writes in place.
Symbols: `lib/__init__.py`. Source: Gu and Dao (2023).
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from lib.models.checks import check_choice, check_count, check_number, check_precision, check_shape, check_state
from lib.models.ssm.convolution import causal_convolution_step, halves_convolution_silu, last_inputs
from lib.models.ssm.scan import backends, selective_scan_fn, selective_scan_step


@dataclass(frozen=True)
class MambaConfig:
    """Sizes and initial step sizes of a Mamba.

    dim, layers         D, and the number of blocks
    states, expand      N, and the channels of a block relative to D
    kernel              taps K of the causal convolution
    rank                of the projection to step sizes; "auto" is D / 16, rounded up
    vocabulary          number of different tokens; None where the input is (B, T, D) numbers
    conv_bias, bias     whether the convolution, whether the two outer projections have one
    time_step_min, _max, _floor   of the initial step sizes: log-uniform, then clamped from below
    backend             of the scan, see `lib.models.ssm.scan`
    raises              ValueError, naming the value and what is allowed
    """

    dim: int
    layers: int
    states: int = 16
    expand: int = 2
    kernel: int = 4
    rank: int | str = "auto"
    vocabulary: int | None = None
    conv_bias: bool = True
    bias: bool = False
    norm_eps: float = 1e-5
    time_step_min: float = 0.001
    time_step_max: float = 0.1
    time_step_floor: float = 1e-4
    backend: str = "auto"

    def __post_init__(self):
        for name in ("dim", "layers", "states", "expand", "kernel"):
            check_count(name, getattr(self, name))
        check_count("rank", self.rank, also=("auto",))
        check_count("vocabulary", self.vocabulary, also=(None,))
        for name in ("norm_eps", "time_step_min", "time_step_floor"):
            check_number(name, getattr(self, name), above=0)
        check_number("time_step_max", self.time_step_max, self.time_step_min, where=", which is time_step_min")
        check_choice("backend", self.backend, backends())

    @property
    def channels(self) -> int:
        """Channels E inside a block."""
        return self.expand * self.dim

    @property
    def step_rank(self) -> int:
        """Rank of the projection to step sizes."""
        return math.ceil(self.dim / 16) if self.rank == "auto" else self.rank


class MambaState(NamedTuple):
    """State of a Mamba block between tokens: the convolution's last K - 1 inputs and the scan's state."""

    convolution: Float[Tensor, "B K-1 E"]
    scan: Float[Tensor, "B E N"]


class MambaBlock(nn.Module):
    """Mamba's mixer of tokens, without norm and residual; parameters are named as in transformers' MambaMixer.

    raises   ValueError, quoting its shape or dtype, for an input or a state of another; TypeError for what is no
             MambaState
    source   Gu and Dao (2023), section 3.4; initial A (S4D-Real) and step sizes, section 3.6
    """

    def __init__(self, config: MambaConfig, *, generator: torch.Generator | None = None):
        super().__init__()
        self.config = config
        dim, channels, states, rank = config.dim, config.channels, config.states, config.step_rank
        self.in_proj = fresh(nn.Linear, dim, 2 * channels, bias=config.bias, generator=generator)
        conv = {"groups": channels, "bias": config.conv_bias}
        self.conv1d = fresh(nn.Conv1d, channels, channels, config.kernel, **conv, generator=generator)
        self.x_proj = fresh(nn.Linear, channels, rank + 2 * states, bias=False, generator=generator)
        self.dt_proj = fresh(nn.Linear, rank, channels, generator=generator)
        self.out_proj = fresh(nn.Linear, channels, dim, bias=config.bias, generator=generator)
        self.A_log = nn.Parameter(torch.arange(1.0, states + 1).log().repeat(channels, 1))
        self.D = nn.Parameter(torch.ones(channels))
        low, high = math.log(config.time_step_min), math.log(config.time_step_max)
        steps = torch.empty(channels).uniform_(low, high, generator=generator).exp().clamp(min=config.time_step_floor)
        with torch.no_grad():
            self.dt_proj.bias.copy_(steps + (-torch.expm1(-steps)).log())  # what softplus takes back to steps

    def forward(
        self,
        x: Float[Tensor, "B T D"],
        state: MambaState | None = None,
        return_state: bool = False,
        seq_idx: Tensor | None = None,
    ) -> Float[Tensor, "B T D"] | tuple[Float[Tensor, "B T D"], MambaState]:
        """Mix T tokens that follow on a state; with `return_state`, also return the state after them.

        seq_idx   (B, T), numbers of the sequences that share a row, see `lib.models.ssm.lengths`: none sees another.
                  A state is that of each row's first sequence, the one returned that of its last
        """
        check_shape("input", x, "B", "T", self.config.dim)
        check_precision("input", x, self.in_proj)
        if state is not None:
            self._check_state(state, x.shape[0])
        both = self.in_proj(x)
        past = None if state is None else state.convolution
        x, gate = halves_convolution_silu(both, self.conv1d.weight, self.conv1d.bias, past, seq_idx)
        delta, B, C = self._select(x)
        u, delta, B, C, z = (tensor.transpose(1, 2) for tensor in (x, delta, B, C, gate))
        fixed = {"D": self.D, "delta_bias": self.dt_proj.bias, "delta_softplus": True}
        carry = {"initial_state": None if state is None else state.scan, "return_last_state": True, "seq_idx": seq_idx}
        out, last = selective_scan_fn(u, delta, self._A(), B, C, z=z, **fixed, **carry, backend=self.config.backend)
        out = self.out_proj(out.transpose(1, 2))
        if not return_state:
            return out
        inputs = last_inputs(both[..., : self.config.channels], self.config.kernel - 1, past, seq_idx)
        return out, MambaState(inputs, last)

    def step(self, x: Float[Tensor, "B D"], state: MambaState) -> tuple[Float[Tensor, "B D"], MambaState]:
        """Mix one token, by the recurrence; the state given does not change."""
        check_shape("input", x, "B", self.config.dim)
        check_precision("input", x, self.in_proj)
        self._check_state(state, x.shape[0])
        x, gate = self.in_proj(x).chunk(2, dim=-1)
        window = torch.cat([state.convolution.to(x.dtype), x.unsqueeze(1)], dim=1)
        x = F.silu(causal_convolution_step(window, self.conv1d.weight, self.conv1d.bias))
        delta, B, C = self._select(x)
        y, scan = selective_scan_step(state.scan, x, delta, self._A(), B, C, self.D, gate, self.dt_proj.bias, True)
        return self.out_proj(y), MambaState(window[:, 1:], scan)

    def initial_state(
        self, batch: int, device: str | torch.device | None = None, dtype: torch.dtype | None = None
    ) -> MambaState:
        """The state before the first token: zeros, on the weights' device and in their dtype where left out."""
        like = torch.empty(0, device=device or self.D.device, dtype=dtype or self.D.dtype)
        config, precise = self.config, torch.promote_types(like.dtype, torch.float32)
        past = like.new_zeros(batch, config.kernel - 1, config.channels)
        return MambaState(past, like.new_zeros(batch, config.channels, config.states, dtype=precise))

    def _check_state(self, state: MambaState, batch: int) -> None:
        check_state(state, MambaState)
        config = self.config
        check_shape("state.convolution", state.convolution, batch, config.kernel - 1, config.channels)
        check_shape("state.scan", state.scan, batch, config.channels, config.states)

    def _A(self) -> Float[Tensor, "E N"]:
        return -self.A_log.to(torch.promote_types(self.A_log.dtype, torch.float32)).exp()

    def _select(self, x: Float[Tensor, "*B E"]) -> tuple[Tensor, Tensor, Tensor]:
        """Step size (..., E) before bias and softplus, which the scan applies; B and C (..., N)."""
        low, B, C = self.x_proj(x).split([self.config.step_rank, self.config.states, self.config.states], dim=-1)
        return F.linear(low, self.dt_proj.weight), B, C


def fresh(kind: type[nn.Module], *sizes: int, generator: torch.Generator | None, **options) -> nn.Module:
    """Make a linear layer or convolution with torch's own initial distribution, drawn from the generator alone."""
    layer = kind(*sizes, **options, device="meta")  # draws nothing
    bound = layer.weight[0].numel() ** -0.5
    for name, weight in list(layer.named_parameters()):
        weight = nn.Parameter(torch.empty(weight.shape, dtype=weight.dtype))
        setattr(layer, name, nn.init.uniform_(weight, -bound, bound, generator=generator))
    return layer
