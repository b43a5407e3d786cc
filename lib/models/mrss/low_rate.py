"""Mamba blocks at a low rate, inside a gated short convolution at the full rate.

Blocks see one token for every r, so they cost 1 / r; the convolution keeps what varies within r tokens. Output t takes
from the low-rate blocks what they made of the chunks that are complete at t.
Symbols: `lib/__init__.py`. Equations: the chapter on multi-resolution scanning.
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from lib.models.checks import check_count, check_precision, check_shape, check_state
from lib.models.mrss.config import LOWEST, MrssConfig
from lib.models.mrss.resample import Downsample, Upsample, chunks, delayed
from lib.models.ssm.convolution import causal_convolution_step, convolution_silu
from lib.models.ssm.mamba_block import MambaBlock, MambaConfig, fresh
from lib.models.ssm.residual import Residual


class LowRateState(NamedTuple):
    """State of a `LowRate` between tokens; `chunk` grows, `phases` shrinks, and every r-th token renews both."""

    convolution: Float[Tensor, "B K-1 D"]
    chunk: Float[Tensor, "B j D"]  # tokens of the chunk that is not complete yet
    carried: Float[Tensor, "B D"]  # what the last complete chunk adds to the next low-rate token
    phases: Float[Tensor, "B k D"]  # outputs of the last complete chunk that are still to come
    low: tuple  # of the low-rate blocks
    routed: tuple = ()  # of a router and its blocks, where there is one


class LowRate(nn.Module):
    """A short convolution and a gate at full rate; between a down- and an upsampler, `layers` Mamba blocks at T / r.

    factor   r >= 1
    layers   number of blocks at the low rate, at least 1
    raises   ValueError, quoting it, for a factor or a number of layers below 1, and for an input of another shape
    """

    def __init__(self, config: MambaConfig, factor: int, layers: int, *, generator: torch.Generator | None = None):
        super().__init__()
        check_count("factor", factor, 1, LOWEST)
        check_count("layers", layers)
        self.config, self.factor = config, factor
        dim = config.dim
        self.in_proj = fresh(nn.Linear, dim, 2 * dim, bias=config.bias, generator=generator)
        self.conv1d = fresh(nn.Conv1d, dim, dim, config.kernel, groups=dim, bias=config.conv_bias, generator=generator)
        self.down = Downsample(dim, factor, generator=generator)
        blocks = (MambaBlock(config, generator=generator) for _ in range(layers))
        self.low = Residual(dim, blocks, config.norm_eps)
        self.norm = nn.RMSNorm(dim, config.norm_eps)
        self.up = Upsample(dim, factor, generator=generator)
        self.out_proj = fresh(nn.Linear, dim, dim, bias=config.bias, generator=generator)

    def forward(self, x: Float[Tensor, "B T D"]) -> Float[Tensor, "B T D"]:
        """Mix T tokens."""
        check_shape("input", x, "B", "T", self.config.dim)
        check_precision("input", x, self.in_proj)
        fast, gate = self.in_proj(x).chunk(2, dim=-1)
        fast = convolution_silu(fast, self.conv1d.weight, self.conv1d.bias)
        if x.shape[1] >= self.factor:
            parts = chunks(fast, self.factor)
            slow = self.low(self.slow_tokens(parts))
            fast = fast + delayed(self.up(self.norm(slow)), x.shape[1])
        return self.out_proj(fast * F.silu(gate))

    def step(self, x: Float[Tensor, "B D"], state: LowRateState) -> tuple[Float[Tensor, "B D"], LowRateState]:
        """Mix one token; the low-rate blocks run at every r-th step only. The state given does not change."""
        check_shape("input", x, "B", self.config.dim)
        check_precision("input", x, self.in_proj)
        check_state(state, LowRateState)
        check_shape("state.convolution", state.convolution, x.shape[0], self.config.kernel - 1, self.config.dim)
        left = self.factor - state.chunk.shape[1]  # of a state of another factor these are not as many
        check_shape("state.phases", state.phases, x.shape[0], left, self.config.dim)
        fast, gate = self.in_proj(x).chunk(2, dim=-1)
        window = torch.cat([state.convolution, fast.unsqueeze(1)], dim=1)
        fast = F.silu(causal_convolution_step(window, self.conv1d.weight, self.conv1d.bias))
        state = state._replace(convolution=window[:, 1:], chunk=torch.cat([state.chunk, fast.unsqueeze(1)], dim=1))
        if state.chunk.shape[1] < self.factor:
            state = state._replace(phases=state.phases[:, 1:])
        else:
            slow, state = self.slow_step(state)
            slow, low = self.low.step(slow, state.low)
            state = state._replace(low=low, phases=self.up(self.norm(slow)), chunk=state.chunk[:, :0])
        return self.out_proj((fast + state.phases[:, 0]) * F.silu(gate)), state

    def initial_state(
        self, batch: int, device: str | torch.device | None = None, dtype: torch.dtype | None = None
    ) -> LowRateState:
        """The state before the first token: zeros, on the weights' device and in their dtype where left out."""
        like, dim = self.out_proj.weight, self.config.dim
        zeros = torch.zeros(batch, max(self.config.kernel - 1, self.factor), dim, device=device or like.device)
        zeros = zeros.to(dtype or like.dtype)
        low = self.low.initial_state(batch, device, dtype)
        return LowRateState(zeros[:, : self.config.kernel - 1], zeros[:, :0], zeros[:, 0], zeros[:, : self.factor], low)

    def slow_tokens(self, parts: Float[Tensor, "B n r D"]) -> Float[Tensor, "B n D"]:
        """Inputs of the low-rate blocks for n complete chunks."""
        return self.down(parts)

    def slow_step(self, state: LowRateState) -> tuple[Float[Tensor, "B D"], LowRateState]:
        """Input of the low-rate blocks for the chunk that has just become complete, and the state after it."""
        now, later = self.down.parts(state.chunk)
        return state.carried + now, state._replace(carried=later)


def mixers(config: MrssConfig, *, generator: torch.Generator | None = None) -> Iterator[nn.Module]:
    """Mixers of the form "low": one `LowRate` with all blocks."""
    yield LowRate(config.mamba, config.factor, config.mamba.layers, generator=generator)
