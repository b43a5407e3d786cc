"""The original report's dual branch, whose gate skips the full-rate branch for the chunks that it closes.

Nearly all of a dual branch's cost is the full-rate branch; the low-rate one, 1 / r of it, always runs, and is what a
closed chunk gets. The full-rate branch sees the tokens of open chunks one after another, as if there were no others:
through a closed chunk its state stays as it is.
Symbols: `lib/__init__.py`. Equations: the chapter on multi-resolution scanning.
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils._pytree import tree_map

from lib.models.checks import check_count, check_number, check_shape, check_state
from lib.models.mrss.config import LOWEST, MrssConfig
from lib.models.mrss.dynamic import quota, within_budget
from lib.models.mrss.gather import gathered, held, longest
from lib.models.mrss.resample import chunks
from lib.models.mrss.routing import reached
from lib.models.ssm.mamba_block import MambaBlock, MambaConfig, MambaState, fresh


class SparseGateState(NamedTuple):
    """State of a `SparseGate` between tokens."""

    seen: int
    high: MambaState  # as it was after the last token of an open chunk
    low: MambaState
    held: Float[Tensor, "B D"]  # the low-rate branch's last output
    open: Bool[Tensor, " B"]  # whether the chunk that the next token belongs to is, unless it is a new one
    opened: Tensor  # (B,) int64, of the chunks so far


class SparseGate(nn.Module):
    """A dual branch with a gate per chunk: y = low + o * (1 - g) * (high - low), where o is 1 for open chunks, else 0.

    A chunk is r tokens. At its first one the low-rate branch runs, whose output `low` is held for the chunk, and the
    router decides from both whether the chunk opens: where it does, y is the original's gated sum g low + (1 - g) high.
    Gradients reach the router as if o were its chance.

    factor   r >= 1
    budget   largest share of chunks that open, 0 < budget <= 1; holds at any time, rounded up
    raises   ValueError, quoting it, for another value, and for an input of another shape
    source   the original report, section 5.1, and its future work; straight-through: Bengio et al. (2013)
    """

    def __init__(
        self, config: MambaConfig, factor: int, budget: float = 0.5, *, generator: torch.Generator | None = None
    ):
        super().__init__()
        check_count("factor", factor, 1, LOWEST)
        check_number("budget", budget, above=0, most=1)
        self.config, self.span, self.budget = config, factor, budget
        self.high, self.low = (MambaBlock(config, generator=generator) for _ in range(2))
        self.gate = fresh(nn.Linear, config.dim, config.dim, generator=generator)
        self.router = fresh(nn.Linear, 2 * config.dim, 1, generator=generator)
        self.used = self.wanted = None  # of the last forward pass; `wanted` has a graph

    def __getstate__(self) -> dict:
        return self.__dict__ | {"used": None, "wanted": None}  # copies leave behind what belongs to a graph

    def balance(self) -> Float[Tensor, ""]:
        """Term of a loss: the squared difference of the share of chunks that wanted to open and the budget."""
        if self.wanted is None:
            return self.router.bias.new_zeros(())
        share = reached((self.wanted > 0.5).to(self.wanted.dtype).mean(), self.wanted.mean())
        return (share - self.budget).square()

    def spend(self) -> None:
        """Want to open every chunk, from now on."""
        self.decide(1.0)

    def decide(self, bias: float) -> None:
        """Want every chunk open, where the bias is above 0, or closed, whatever is in it."""
        nn.init.zeros_(self.router.weight)
        nn.init.constant_(self.router.bias, bias)

    def forward(self, x: Float[Tensor, "B T D"]) -> Float[Tensor, "B T D"]:
        """Mix T tokens."""
        check_shape("input", x, "B", "T", self.config.dim)
        length, factor = x.shape[1], self.span
        first = x[:, ::factor]
        low = self.low(first)
        scores = self._scores(first, low)
        chosen = within_budget(scores > 0, self.budget)
        self.wanted, self.used = scores.sigmoid(), chosen.to(scores.dtype)
        so_far = chosen.cumsum(1)
        count = longest(so_far, quota(self.budget, chosen.shape[1]))
        if count == 0:
            return low.repeat_interleave(factor, dim=1)[:, :length]
        parts = chunks(F.pad(x.to(low.dtype), (0, 0, 0, -length % factor)), factor)
        open_parts = torch.cat([gathered(parts, so_far, count), gathered(low.unsqueeze(2), so_far, count)], dim=2)
        weight = reached(self.used, self.used * self.wanted).to(low.dtype)
        fine = held(self._fine_of_chunks, open_parts, so_far) * weight[..., None, None]
        return (low.unsqueeze(2) + fine).flatten(1, 2)[:, :length]

    def step(self, x: Float[Tensor, "B D"], state: SparseGateState) -> tuple[Float[Tensor, "B D"], SparseGateState]:
        """Mix one token; the low-rate branch runs at every r-th step only, the full-rate one where a chunk is open."""
        check_shape("input", x, "B", self.config.dim)
        check_state(state, SparseGateState)
        check_shape("state.held", state.held, *x.shape)
        if state.seen % self.span == 0:
            slow, low = self.low.step(x, state.low)
            left = state.opened < quota(self.budget, state.seen // self.span + 1)
            opened = left & (self._scores(x, slow) > 0)
            state = state._replace(low=low, held=slow, open=opened, opened=state.opened + opened)
        y, high, rows = state.held, state.high, state.open.nonzero()[:, 0]
        if len(rows):
            out, own = self.high.step(x[rows], tree_map(lambda tensor: tensor[rows], high))
            high = tree_map(lambda tensor, new: tensor.index_copy(0, rows, new.to(tensor.dtype)), high, own)
            y = y.index_add(0, rows, self._fine(x[rows], out, y[rows]).to(y.dtype))
        return y, state._replace(seen=state.seen + 1, high=high)

    def initial_state(
        self, batch: int, device: str | torch.device | None = None, dtype: torch.dtype | None = None
    ) -> SparseGateState:
        """The state before the first token: zeros, on the weights' device and in their dtype where left out."""
        high, low = (block.initial_state(batch, device, dtype) for block in (self.high, self.low))
        opened = torch.zeros(batch, dtype=torch.long, device=high.convolution.device)
        held = high.convolution.new_zeros(batch, self.config.dim)
        return SparseGateState(0, high, low, held, opened > 0, opened)

    def _scores(self, x: Float[Tensor, "*B D"], low: Float[Tensor, "*B D"]) -> Float[Tensor, "*B"]:
        return self.router(torch.cat([x, low.to(x.dtype)], dim=-1))[..., 0]

    def _fine(self, x: Tensor, high: Tensor, low: Tensor) -> Tensor:
        """What an open chunk's tokens have beyond the low-rate branch: (1 - g) (high - low)."""
        return torch.sigmoid(-self.gate(x)) * (high - low)

    def _fine_of_chunks(self, parts: Float[Tensor, "B k R D"]) -> Float[Tensor, "B k r D"]:
        """The same of k chunks, whose last member is the low-rate branch's output."""
        x, low = parts[:, :, :-1], parts[:, :, -1:]
        return self._fine(x, self.high(x.flatten(1, 2)).unflatten(1, x.shape[1:3]), low)


def mixers(config: MrssConfig, *, generator: torch.Generator | None = None) -> Iterator[nn.Module]:
    """Mixers of the form "sparse_gate": one `SparseGate` per block."""
    for _ in range(config.mamba.layers):
        yield SparseGate(config.mamba, config.factor, config.budget, generator=generator)
