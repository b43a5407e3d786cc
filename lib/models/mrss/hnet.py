"""H-Net's dynamic chunking: a token that differs from the one before it begins a chunk, and stands for it.

Only the tokens that begin chunks reach the inner blocks. An output is an average of the inner blocks' outputs so far
that forgets the faster, the surer the router was; it changes where a chunk begins, so the form is causal.
What departs from the paper: one stage; Mamba blocks inside and outside; what bypasses the inner blocks does so by the
residual connection around every mixer, not through a linear layer. How many chunks there are is the input's affair:
shorter rows of a batch are padded at their end, where nothing looks back.
Symbols: `lib/__init__.py`; n chunks.
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils._pytree import tree_map

from lib.kernels.eager import readable
from lib.models.checks import check_count, check_precision, check_shape, check_state
from lib.models.mrss.config import LOWEST, MrssConfig, check_both_rates
from lib.models.ssm.mamba_block import MambaBlock, MambaConfig
from lib.models.ssm.residual import Residual
from lib.models.ssm.scan import selective_scan_fn

WEIGHT = 0.03  # of the ratio loss, the paper's

check = check_both_rates


class ChunkedState(NamedTuple):
    """State of a `DynamicChunking` between tokens: the last key, the inner blocks' states, the last output."""

    seen: int
    key: Float[Tensor, "B D"]
    inner: tuple
    smoothed: Float[Tensor, "B D"]


class DynamicChunking(nn.Module):
    """`layers` Mamba blocks on the tokens that a router chooses, about one in r, and their smoothed outputs at all.

    Token t is chosen where p_t = (1 - cos(q_t, k_{t-1})) / 2 >= 1 / 2, the first one always. The loss learns to choose
    by the weights of the average and, straight through, by a factor that is one: the chance of what was decided.

    factor   r >= 2, the number of tokens to a chunk that `balance` holds the router to
    raises   ValueError, quoting it, for a factor below 2 or no layers, and for an input or a state of another shape
    source   Hwang, Wang and Gu (2025)
    """

    def __init__(self, config: MambaConfig, factor: int, layers: int, *, generator: torch.Generator | None = None):
        super().__init__()
        check_count("factor", factor, 2, LOWEST)
        check_count("layers", layers)
        self.config, self.factor = config, factor
        self.query, self.key = (nn.Parameter(torch.eye(config.dim)) for _ in range(2))
        self.inner = Residual(
            config.dim, (MambaBlock(config, generator=generator) for _ in range(layers)), config.norm_eps
        )
        self.norm = nn.RMSNorm(config.dim, config.norm_eps)
        self.regular = False  # chunks of just r tokens each, whatever the input
        self.span, self.used = 1, None  # see `lib.models.mrss.routing`
        self.shares = None  # of tokens chosen, and their mean chance, in the last forward pass; for `balance`

    def __getstate__(self) -> dict:
        return self.__dict__ | {"shares": None, "used": None}  # copies of a model leave behind what belongs to a graph

    def balance(self) -> Float[Tensor, ""]:
        """Term of a loss, least where one of r tokens is chosen: the paper's ratio loss, in its weight, less one."""
        if self.shares is None:
            return self.query.new_zeros(())
        chosen, chance = self.shares
        ratio = (self.factor - 1) * chosen * chance + (1 - chosen) * (1 - chance)
        return WEIGHT * (self.factor / (self.factor - 1) * ratio - 1)

    def spend(self) -> None:
        """Choose every r-th token from now on."""
        self.regular = True

    def forward(self, x: Float[Tensor, "B T D"]) -> Float[Tensor, "B T D"]:
        """Mix T tokens."""
        check_shape("input", x, "B", "T", self.config.dim)
        check_precision("input", x, self.query)
        chance = self._chances(x)
        chosen = chance >= 0.5
        self.used = chosen.to(x.dtype)
        self.shares = chosen.float().mean(), chance.float().mean()
        # A graph that is compiled or exported holds for all inputs: for as many chunks as tokens.
        most = int(chosen.sum(1).max()) if readable(chosen) else x.shape[1]
        order = (~chosen).int().argsort(dim=1, stable=True)[:, :most]  # the chosen ones first, in their order
        mixed = self.norm(self.inner(x.gather(1, _across(order, x))))
        smoothed = self._smoothed(mixed, chance.gather(1, order).clamp(min=0.5))
        begun = (chosen.cumsum(1) - 1).clamp(min=0)
        sure = torch.where(chosen, chance, 1 - chance)
        return smoothed.gather(1, _across(begun, smoothed)) * (1 + sure - sure.detach()).unsqueeze(-1)

    def step(self, x: Float[Tensor, "B D"], state: ChunkedState) -> tuple[Float[Tensor, "B D"], ChunkedState]:
        """Mix one token; the inner blocks run on rows where it begins a chunk. The state given does not change."""
        check_shape("input", x, "B", self.config.dim)
        check_precision("input", x, self.query)
        check_state(state, ChunkedState)
        check_shape("state.smoothed", state.smoothed, *x.shape)
        if self.regular or not state.seen:
            chance = x.new_full(x.shape[:1], float(state.seen % self.factor == 0))
        else:
            chance = _unlike(F.linear(x, self.query), state.key)
        rows, inner, smoothed = (chance >= 0.5).nonzero()[:, 0], state.inner, state.smoothed
        if len(rows):
            mixed, own = self.inner.step(x[rows], tree_map(lambda tensor: tensor[rows], inner))
            inner = tree_map(lambda tensor, new: tensor.index_copy(0, rows, new.to(tensor.dtype)), inner, own)
            new = torch.lerp(smoothed[rows], self.norm(mixed), chance[rows].unsqueeze(-1).to(mixed.dtype))
            smoothed = smoothed.index_copy(0, rows, new)
        return smoothed, ChunkedState(state.seen + 1, F.linear(x, self.key), inner, smoothed)

    def initial_state(
        self, batch: int, device: str | torch.device | None = None, dtype: torch.dtype | None = None
    ) -> ChunkedState:
        """The state before the first token: zeros, on the weights' device and in their dtype where left out."""
        zeros = torch.zeros(batch, self.config.dim, device=device or self.key.device, dtype=dtype or self.key.dtype)
        return ChunkedState(0, zeros, self.inner.initial_state(batch, device, dtype), zeros)

    def _chances(self, x: Float[Tensor, "B T D"]) -> Float[Tensor, "B T"]:
        """The chance of each token to begin a chunk."""
        if self.regular:
            return (torch.arange(x.shape[1], device=x.device) % self.factor == 0).to(x.dtype).expand(x.shape[:2])
        unlike = _unlike(F.linear(x, self.query)[:, 1:], F.linear(x, self.key)[:, :-1])
        return F.pad(unlike, (1, 0), value=1.0)

    def _smoothed(self, x: Float[Tensor, "B n D"], chance: Float[Tensor, "B n"]) -> Float[Tensor, "B n D"]:
        """s_i = p_i x_i + (1 - p_i) s_{i-1}: a scan of one state, whose step sizes are -ln(1 - p_i)."""
        dim = x.shape[2]
        delta = -torch.log1p(-chance.to(x.dtype).clamp(max=1 - torch.finfo(x.dtype).eps)).unsqueeze(1)
        ones = x.new_ones(dim, 1)
        u = x.transpose(1, 2) * (chance.to(x.dtype).unsqueeze(1) / delta)
        y = selective_scan_fn(u, delta.expand(-1, dim, -1), -ones, ones, ones, backend=self.config.backend)
        return y.transpose(1, 2)


def mixers(config: MrssConfig, *, generator: torch.Generator | None = None) -> Iterator[nn.Module]:
    """Mixers of the form "hnet": of the `full` blocks at the full rate, half before the others, half after them."""
    before = (config.at_full + 1) // 2
    blocks = (MambaBlock(config.mamba, generator=generator) for _ in range(config.at_full))
    for _ in range(before):
        yield next(blocks)
    yield DynamicChunking(config.mamba, config.factor, config.mamba.layers - config.at_full, generator=generator)
    yield from blocks


def _unlike(query: Float[Tensor, "*B D"], key: Float[Tensor, "*B D"]) -> Float[Tensor, "*B"]:
    """0 for vectors of one direction, 1 for opposite ones."""
    return (1 - F.cosine_similarity(query, key, dim=-1)) / 2


def _across(order: Tensor, x: Float[Tensor, "B T D"]) -> Tensor:
    return order.unsqueeze(-1).expand(-1, -1, x.shape[2])
