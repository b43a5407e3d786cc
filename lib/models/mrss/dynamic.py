"""Dynamic resolution: a router decides, chunk by chunk, which of them are also computed at the full rate.

Chunks that are not chosen never reach the full-rate blocks: the chosen ones are gathered into a shorter sequence.
Symbols: `lib/__init__.py`. Equations: the chapter on multi-resolution scanning.
"""

import math
from collections.abc import Iterator
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.utils._pytree import tree_map

from lib.kernels.eager import readable
from lib.models.checks import check_count, check_number, check_state
from lib.models.mrss.config import MrssConfig, check_both_rates
from lib.models.mrss.low_rate import LowRate, LowRateState
from lib.models.mrss.resample import Downsample
from lib.models.ssm.mamba_block import MambaBlock, MambaConfig, fresh
from lib.models.ssm.residual import Residual

check = check_both_rates


class RoutedState(NamedTuple):
    """State of a router's full-rate blocks between chunks, and how many of the chunks seen so far were theirs."""

    full: tuple
    used: Tensor  # (B,) int64
    seen: int


class Dynamic(LowRate):
    """A `LowRate` whose low-rate tokens take up what `full` blocks at full rate made of the chunks that a router chose.

    full     number of blocks at full rate, at least 1
    budget   largest share of chunks computed at full rate, 0 < budget <= 1; holds at any time, rounded up
    raises   ValueError, quoting it, for another value
    source   per-chunk routing after Raposo et al. (2024), made causal: the budget is a running quota
    """

    def __init__(
        self,
        config: MambaConfig,
        factor: int,
        layers: int,
        full: int,
        budget: float = 0.5,
        *,
        generator: torch.Generator | None = None,
    ):
        super().__init__(config, factor, layers, generator=generator)
        check_count("full", full)
        check_number("budget", budget, above=0, most=1)
        self.budget = budget
        self.router = fresh(nn.Linear, config.dim, 1, generator=generator)
        blocks = (MambaBlock(config, generator=generator) for _ in range(full))
        self.full = Residual(config.dim, blocks, config.norm_eps)
        self.pool = Downsample(config.dim, factor, generator=generator)
        self.chance = None  # of being wanted, per chunk of the last forward pass; for `balance`
        self.span, self.used = factor, None  # see `lib.models.mrss.routing`

    def __getstate__(self) -> dict:
        return self.__dict__ | {"chance": None, "used": None}  # copies of a model leave behind what belongs to a graph

    def balance(self) -> Float[Tensor, ""]:
        """Term of a loss: the squared difference of the last forward pass's mean routing probability and the budget."""
        if self.chance is None:
            return self.router.bias.new_zeros(())
        return (self.chance.mean() - self.budget).square()

    def spend(self) -> None:
        """Want every chunk from now on."""
        nn.init.zeros_(self.router.weight)
        nn.init.ones_(self.router.bias)

    def slow_tokens(self, parts: Float[Tensor, "B n r D"]) -> Float[Tensor, "B n D"]:
        """Inputs of the low-rate blocks for n complete chunks; the full-rate blocks add to those of chosen chunks."""
        slow = self.down(parts)
        scores = self.router(slow)[..., 0]
        self.chance = scores.sigmoid()
        chosen = within_budget(scores > 0, self.budget)
        self.used = chosen.to(scores.dtype)
        # A graph that is compiled or exported holds for all inputs: for as many as the budget allows.
        most = int(chosen.sum(1).max()) if readable(chosen) else quota(self.budget, chosen.shape[1])
        if most == 0:
            return slow
        # The chosen chunks first, in their order; where others have more, some that are not chosen follow.
        order = (~chosen).int().argsort(dim=1, stable=True)[:, :most]
        taken = parts.gather(1, order[..., None, None].expand(-1, -1, *parts.shape[2:]))
        mixed = self.full(taken.flatten(1, 2)).unflatten(1, taken.shape[1:3])
        weight = torch.where(chosen, self.chance, 0).gather(1, order)
        pooled = self._pooled(mixed, weight).to(slow.dtype)
        return slow.scatter_add(1, order[..., None].expand(-1, -1, slow.shape[2]), pooled)

    def slow_step(self, state: LowRateState) -> tuple[Float[Tensor, "B D"], LowRateState]:
        """Input of the low-rate blocks for the chunk that has just become complete, and the state after it."""
        slow, state = super().slow_step(state)
        check_state(state.routed, RoutedState)
        full, used, seen = state.routed
        scores = self.router(slow)[..., 0]
        rows = ((scores > 0) & (used < quota(self.budget, seen + 1))).nonzero()[:, 0]
        if len(rows):
            own, outs = tree_map(lambda tensor: tensor[rows], full), []
            for token in state.chunk[rows].unbind(1):
                out, own = self.full.step(token, own)
                outs.append(out)
            pooled = self._pooled(torch.stack(outs, dim=1), scores[rows].sigmoid())
            slow = slow.index_add(0, rows, pooled.to(slow.dtype))
            full = tree_map(lambda tensor, new: tensor.index_copy(0, rows, new.to(tensor.dtype)), full, own)
            used = used.index_add(0, rows, torch.ones_like(rows))
        return slow, state._replace(routed=RoutedState(full, used, seen + 1))

    def initial_state(
        self, batch: int, device: str | torch.device | None = None, dtype: torch.dtype | None = None
    ) -> LowRateState:
        """The state before the first token: zeros, and no chunk seen."""
        state = super().initial_state(batch, device, dtype)
        used = torch.zeros(batch, dtype=torch.long, device=state.carried.device)
        return state._replace(routed=RoutedState(self.full.initial_state(batch, device, dtype), used, 0))

    def _pooled(self, mixed: Float[Tensor, "*B r D"], weight: Float[Tensor, "*B"]) -> Float[Tensor, "*B D"]:
        return self.pool.parts(mixed)[0] * weight.unsqueeze(-1)


def mixers(config: MrssConfig, *, generator: torch.Generator | None = None) -> Iterator[nn.Module]:
    """Mixers of the form "dynamic": one `Dynamic`, whose router chooses the chunks that `full` of the blocks see."""
    low = config.mamba.layers - config.at_full
    yield Dynamic(config.mamba, config.factor, low, config.at_full, config.budget, generator=generator)


def balance(model: nn.Module) -> Float[Tensor, ""]:
    """Term of a model's loss that holds its routers to their budgets; zero where it has none."""
    terms = [module.balance() for module in model.modules() if hasattr(module, "balance")]
    return sum(terms, torch.zeros(()))


def spend(model: nn.Module) -> nn.Module:
    """Make a model's routers use up their budgets from now on, in place, whatever the input: for what that costs."""
    for module in model.modules():
        if hasattr(module, "spend"):
            module.spend()
    return model


def quota(budget: float, chunks: int) -> int:
    """The most of the first `chunks` chunks that a budget allows: their share, rounded up."""
    return math.ceil(budget * chunks - 1e-9)


def within_budget(wanted: Bool[Tensor, "B n"], budget: float) -> Bool[Tensor, "B n"]:
    """Choose, of the chunks wanted, those that a running quota allows, first come, first served; causal.

    The number taken is a walk that is held below the quota q: with w chunks wanted so far, it is
    w_i + min(0, min_{j <= i} (q_j - w_j)).
    """
    allowed = torch.tensor([quota(budget, i + 1) for i in range(wanted.shape[1])], device=wanted.device)
    so_far = wanted.cumsum(1)
    taken = so_far + (allowed - so_far).cummin(1).values.clamp(max=0)
    return taken.diff(dim=1, prepend=torch.zeros_like(taken[:, :1])) > 0
