"""HiSS: blocks that see one chunk of r tokens each, and above them blocks that see one token per chunk.

What departs from the paper: it predicts at the rate of the chunks. Here an output is due at every token: it is the sum
of what the lower blocks made of the chunk so far and of what the upper ones made of the last complete chunk, held
until the next one is complete. So the form is causal, and the upper blocks never see a token late.
Symbols: `lib/__init__.py`.
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils._pytree import tree_map

from lib.models.checks import check_count, check_precision, check_shape, check_state
from lib.models.mrss.config import LOWEST, MrssConfig, check_both_rates
from lib.models.mrss.resample import Upsample, delayed
from lib.models.ssm.mamba_block import MambaBlock, MambaConfig, fresh
from lib.models.ssm.residual import Residual

check = check_both_rates


class HierarchyState(NamedTuple):
    """State of a `Hierarchy` between tokens."""

    seen: int
    lower: tuple  # zeros where a chunk begins
    upper: tuple
    phases: Float[Tensor, "B k D"]  # outputs of the last complete chunk that are still to come


class Hierarchy(nn.Module):
    """`lower` Mamba blocks within every chunk of r tokens; its last output is a token of `upper` Mamba blocks.

    factor         r >= 1
    lower, upper   number of blocks, at least 1 each
    raises         ValueError, quoting it, for a size below 1, and for an input of another shape
    source         Bhirangi et al. (2024)
    """

    def __init__(
        self, config: MambaConfig, factor: int, lower: int, upper: int, *, generator: torch.Generator | None = None
    ):
        super().__init__()
        check_count("factor", factor, 1, LOWEST)
        check_count("lower", lower)
        check_count("upper", upper)
        self.config, self.factor = config, factor
        self.lower, self.upper = (
            Residual(config.dim, (MambaBlock(config, generator=generator) for _ in range(count)), config.norm_eps)
            for count in (lower, upper)
        )
        self.lower_norm, self.upper_norm = (nn.RMSNorm(config.dim, config.norm_eps) for _ in range(2))
        self.up = Upsample(config.dim, factor, generator=generator)
        self.out_proj = fresh(nn.Linear, config.dim, config.dim, bias=config.bias, generator=generator)

    def forward(self, x: Float[Tensor, "B T D"]) -> Float[Tensor, "B T D"]:
        """Mix T tokens."""
        check_shape("input", x, "B", "T", self.config.dim)
        check_precision("input", x, self.out_proj)
        length = x.shape[1]
        parts = F.pad(x, (0, 0, 0, -length % self.factor)).unflatten(1, (-1, self.factor))
        local = self.lower(parts.flatten(0, 1)).unflatten(0, parts.shape[:2])  # each chunk a sequence of its own
        y = self.lower_norm(local.flatten(1, 2)[:, :length])
        if complete := length // self.factor:
            above = self.upper(local[:, :complete, -1])
            y = y + delayed(self.up(self.upper_norm(above)), length)
        return self.out_proj(y)

    def step(self, x: Float[Tensor, "B D"], state: HierarchyState) -> tuple[Float[Tensor, "B D"], HierarchyState]:
        """Mix one token; the upper blocks run at every r-th step only. The state given does not change."""
        check_shape("input", x, "B", self.config.dim)
        check_precision("input", x, self.out_proj)
        check_state(state, HierarchyState)
        check_shape("state.phases", state.phases, x.shape[0], self.factor - state.seen % self.factor, self.config.dim)
        local, lower = self.lower.step(x, state.lower)
        upper, phases = state.upper, state.phases[:, 1:]
        if (state.seen + 1) % self.factor == 0:
            above, upper = self.upper.step(local, upper)
            lower, phases = tree_map(torch.zeros_like, lower), self.up(self.upper_norm(above))
        y = self.out_proj(self.lower_norm(local) + phases[:, 0])
        return y, HierarchyState(state.seen + 1, lower, upper, phases)

    def initial_state(
        self, batch: int, device: str | torch.device | None = None, dtype: torch.dtype | None = None
    ) -> HierarchyState:
        """The state before the first token: zeros, on the weights' device and in their dtype where left out."""
        like = self.out_proj.weight
        phases = torch.zeros(
            batch, self.factor, self.config.dim, device=device or like.device, dtype=dtype or like.dtype
        )
        lower, upper = (blocks.initial_state(batch, device, dtype) for blocks in (self.lower, self.upper))
        return HierarchyState(0, lower, upper, phases)


def mixers(config: MrssConfig, *, generator: torch.Generator | None = None) -> Iterator[nn.Module]:
    """Mixers of the form "hiss": one `Hierarchy`, of which `full` blocks are the lower ones."""
    upper = config.mamba.layers - config.at_full
    yield Hierarchy(config.mamba, config.factor, config.at_full, upper, generator=generator)
