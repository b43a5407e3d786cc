"""The original report's multi-resolution scan on the real operator: a full-rate branch, low-rate ones, a gate.

Each branch is a Mamba block. Nothing is saved: the full-rate branch is the baseline, all else comes on top.
Symbols: `lib/__init__.py`. Equations: the chapter on multi-resolution scanning.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lib.models.checks import check_counts, check_many, check_shape, check_state
from lib.models.mrss.config import LOWEST, MrssConfig
from lib.models.ssm.mamba_block import MambaBlock, MambaConfig, MambaState, fresh

SEVERAL = True  # factors at once


class DualBranchState(NamedTuple):
    """State of a `DualBranch` between tokens; `held` is each low-rate branch's last output."""

    seen: int
    high: MambaState
    low: tuple[MambaState, ...]
    held: tuple[Tensor, ...]


class DualBranch(nn.Module):
    """A full-rate and a low-rate branch under a gate: y = g * upsample(low(downsample(x))) + (1 - g) * high(x).

    The gate is g = sigmoid(W x + b), per token and channel. Downsampling takes every r-th token, upsampling holds an
    output for r tokens: causal. Several factors make a hierarchy: each branch of a lower rate is mixed into what those
    of higher rates made.

    factors  r >= 1, one per low-rate branch
    raises   ValueError, quoting them, for no factor or one below 1, and for an input of another shape
    source   the original report, section 5.1
    """

    def __init__(self, config: MambaConfig, factors: Sequence[int], *, generator: torch.Generator | None = None):
        super().__init__()
        check_counts("factors", factors, 1, LOWEST)
        self.config, self.factors = config, tuple(factors)
        self.high = MambaBlock(config, generator=generator)
        self.low = nn.ModuleList(MambaBlock(config, generator=generator) for _ in factors)
        self.gates = nn.ModuleList(fresh(nn.Linear, config.dim, config.dim, generator=generator) for _ in factors)

    def forward(self, x: Float[Tensor, "B T D"]) -> Float[Tensor, "B T D"]:
        """Mix T tokens."""
        check_shape("input", x, "B", "T", self.config.dim)
        y = self.high(x)
        for factor, low, gate in zip(self.factors, self.low, self.gates, strict=True):
            held = low(x[:, ::factor]).repeat_interleave(factor, dim=1)[:, : x.shape[1]]
            y = torch.lerp(y, held, gate(x).sigmoid())
        return y

    def step(self, x: Float[Tensor, "B D"], state: DualBranchState) -> tuple[Float[Tensor, "B D"], DualBranchState]:
        """Mix one token; a low-rate branch runs at every r-th step only. The state given does not change."""
        check_shape("input", x, "B", self.config.dim)
        check_state(state, DualBranchState)
        check_many("state", state.low, len(self.low), "low-rate branches")
        y, high = self.high.step(x, state.high)
        lows, helds = list(state.low), list(state.held)
        for i, factor in enumerate(self.factors):
            if state.seen % factor == 0:
                helds[i], lows[i] = self.low[i].step(x, lows[i])
            y = torch.lerp(y, helds[i], self.gates[i](x).sigmoid())
        return y, DualBranchState(state.seen + 1, high, tuple(lows), tuple(helds))

    def initial_state(
        self, batch: int, device: str | torch.device | None = None, dtype: torch.dtype | None = None
    ) -> DualBranchState:
        """The state before the first token: zeros, on the weights' device and in their dtype where left out."""
        high, *low = (block.initial_state(batch, device, dtype) for block in (self.high, *self.low))
        held = high.convolution.new_zeros(batch, self.config.dim)
        return DualBranchState(0, high, tuple(low), (held,) * len(low))


def mixers(config: MrssConfig, *, generator: torch.Generator | None = None) -> Iterator[nn.Module]:
    """Mixers of the form "dual": one `DualBranch` per block."""
    yield from (DualBranch(config.mamba, config.factors, generator=generator) for _ in range(config.mamba.layers))
