"""Mamba blocks at a rate that is chosen for every segment of a sequence, from what the segment before it holds.

One set of blocks serves all rates: a segment at factor r reaches them as one token for every r, behind those of the
segments before. So the blocks see a sequence of uneven rate, and cost what was chosen.
A router has a chance for every factor; factors come as often as their chances say, see `lib.models.mrss.rates`.
Symbols: `lib/__init__.py`. Equations: the chapter on multi-resolution scanning.
"""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils._pytree import tree_map

from lib.models.checks import (
    check_choice,
    check_count,
    check_number,
    check_precision,
    check_shape,
    check_state,
)
from lib.models.mrss.config import MrssConfig
from lib.models.mrss.gather import on_taken
from lib.models.mrss.rates import check_factors, chosen, halves, summary
from lib.models.mrss.resample import Downsample, Upsample, chunks
from lib.models.mrss.routing import reached
from lib.models.ssm.convolution import causal_convolution_step, convolution_silu
from lib.models.ssm.mamba_block import MambaBlock, MambaConfig, fresh
from lib.models.ssm.residual import Residual

SEVERAL = True  # factors at once


class DynamicRateState(NamedTuple):
    """State of a `DynamicRate` between tokens."""

    seen: int
    convolution: Float[Tensor, "B K-1 D"]
    recent: Float[Tensor, "B w D"]  # the last tokens after the convolution
    chances: Float[Tensor, "B k"]  # of the factors, as the router saw them last
    choice: Int[Tensor, " B"]  # number of the segment's factor
    slow: Float[Tensor, "B D"]  # the blocks' last output
    since: Int[Tensor, " B"]  # tokens since then
    low: tuple  # of the blocks


class DynamicRate(nn.Module):
    """A gated short convolution at full rate around `layers` Mamba blocks at T / r, with a factor r for every segment.

    A segment is S tokens, the least common multiple of the factors. An output takes from the blocks what they made of
    the last complete chunk of r tokens: the finer the rate, the fresher. The first segment's factor is the same for all
    sequences.

    factors  different ones, each at least 1
    layers   number of blocks, at least 1
    budget   share of tokens that `balance` holds the blocks' to, 0 < budget <= 1
    once     whether the router decides for a whole sequence, after its first segment, and not for each
    raises   ValueError, quoting it, for another value, and for an input of another shape
    """

    def __init__(
        self,
        config: MambaConfig,
        factors: Sequence[int],
        layers: int,
        budget: float = 0.5,
        *,
        once: bool = False,
        generator: torch.Generator | None = None,
    ):
        super().__init__()
        check_factors(factors)
        check_count("layers", layers)
        check_number("budget", budget, above=0, most=1)
        self.config, self.factors, self.budget, self.once = config, tuple(sorted(factors)), budget, once
        self.span, dim = math.lcm(*factors), config.dim
        self.in_proj = fresh(nn.Linear, dim, 2 * dim, bias=config.bias, generator=generator)
        self.conv1d = fresh(nn.Conv1d, dim, dim, config.kernel, groups=dim, bias=config.conv_bias, generator=generator)
        self.down = nn.ModuleList(Downsample(dim, factor, generator=generator) for factor in self.factors)
        self.rate = nn.Parameter(torch.zeros(len(self.factors), dim))  # tells the blocks what a token stands for
        blocks = (MambaBlock(config, generator=generator) for _ in range(layers))
        self.low = Residual(dim, blocks, config.norm_eps)
        self.norm = nn.RMSNorm(dim, config.norm_eps)
        self.up = Upsample(dim, self.factors[-1], generator=generator)
        self.out_proj = fresh(nn.Linear, dim, dim, bias=config.bias, generator=generator)
        self.router = fresh(nn.Linear, 2 * dim, len(self.factors), generator=generator)
        self.register_buffer("rates", torch.tensor(self.factors), persistent=False)
        self.used = self.wanted = None  # share of tokens per segment of the last forward pass; `wanted` has a graph

    def __getstate__(self) -> dict:
        return self.__dict__ | {"used": None, "wanted": None}  # copies leave behind what belongs to a graph

    def balance(self) -> Float[Tensor, ""]:
        """Term of a loss: the squared difference of the blocks' share of tokens, in the last pass, and the budget."""
        if self.wanted is None:
            return self.router.bias.new_zeros(())
        return (reached(self.used, self.wanted).mean() - self.budget).square()

    def spend(self) -> None:
        """Choose the finest and the coarsest factor from now on, each as often as uses up the budget."""
        fine, coarse = 1 / self.factors[0], 1 / self.factors[-1]
        share = min(max((self.budget - coarse) / (fine - coarse), 0.0), 1.0) if len(self.factors) > 1 else 1.0
        self._fix({self.factors[-1]: 1 - share} | {self.factors[0]: share})

    def decide(self, factor: int) -> None:
        """Choose one of the factors for every segment, from now on.

        raises   ValueError, quoting it, for another
        """
        check_choice("factor", factor, self.factors)
        self._fix({factor: 1.0})

    def forward(self, x: Float[Tensor, "B T D"]) -> Float[Tensor, "B T D"]:
        """Mix T tokens."""
        check_shape("input", x, "B", "T", self.config.dim)
        check_precision("input", x, self.in_proj)
        length = x.shape[1]
        fast, gate = self.in_proj(x).chunk(2, dim=-1)
        fast = convolution_silu(fast, self.conv1d.weight, self.conv1d.bias)
        whole = F.pad(fast, (0, 0, 0, -length % self.span))
        before = F.pad(summary(chunks(whole, self.span))[:, :-1], (0, 0, 1, 0))
        number = torch.arange(before.shape[1], device=x.device)
        chances = self._chances(before[:, number.clamp(max=1)] if self.once else before)
        choice = chosen(chances, number)
        shares = 1 / self.rates.to(chances.dtype)
        self.used, self.wanted = shares[choice], (chances * shares).sum(-1)
        slow = self._slow(whole, choice, length)
        if slow is not None:
            chance = chances.gather(-1, choice.unsqueeze(-1))
            weight = reached(torch.ones_like(chance), chance).repeat_interleave(self.span, dim=1)[:, :length]
            fast = fast + slow * weight.to(slow.dtype)
        return self.out_proj(fast * F.silu(gate))

    def step(self, x: Float[Tensor, "B D"], state: DynamicRateState) -> tuple[Float[Tensor, "B D"], DynamicRateState]:
        """Mix one token; the blocks run where it ends a chunk. The state given does not change."""
        check_shape("input", x, "B", self.config.dim)
        check_precision("input", x, self.in_proj)
        check_state(state, DynamicRateState)
        check_shape("state.recent", state.recent, x.shape[0], self._kept, self.config.dim)
        number, place = divmod(state.seen, self.span)
        chances, choice = state.chances, state.choice
        if place == 0:
            if number < 2 or not self.once:
                before = summary(state.recent[:, -self.span :])
                chances = self._chances(before if number else torch.zeros_like(before))
            choice = chosen(chances, torch.tensor(number, device=x.device))
        fast, gate = self.in_proj(x).chunk(2, dim=-1)
        window = torch.cat([state.convolution, fast.unsqueeze(1)], dim=1)
        fast = F.silu(causal_convolution_step(window, self.conv1d.weight, self.conv1d.bias))
        recent = torch.cat([state.recent[:, 1:], fast.unsqueeze(1)], dim=1)
        slow, since, low = state.slow, state.since + 1, state.low
        rows = ((place + 1) % self.rates[choice] == 0).nonzero()[:, 0]
        if len(rows):
            tokens = torch.stack([self._token(recent[row], int(choice[row])) for row in rows])
            out, own = self.low.step(tokens, tree_map(lambda tensor: tensor[rows], low))
            low = tree_map(lambda tensor, new: tensor.index_copy(0, rows, new.to(tensor.dtype)), low, own)
            slow, since = slow.index_copy(0, rows, self.norm(out).to(slow.dtype)), since.index_fill(0, rows, 0)
        fast = fast + slow * F.embedding(since, self.up.phases)
        after = DynamicRateState(state.seen + 1, window[:, 1:], recent, chances, choice, slow, since, low)
        return self.out_proj(fast * F.silu(gate)), after

    def initial_state(
        self, batch: int, device: str | torch.device | None = None, dtype: torch.dtype | None = None
    ) -> DynamicRateState:
        """The state before the first token: zeros, on the weights' device and in their dtype where left out."""
        like, dim = self.out_proj.weight, self.config.dim
        like = torch.zeros(0, device=device or like.device, dtype=dtype or like.dtype)
        recent, past = (like.new_zeros(batch, tokens, dim) for tokens in (self._kept, self.config.kernel - 1))
        chances = like.new_zeros(batch, len(self.factors), dtype=torch.promote_types(like.dtype, torch.float32))
        number = torch.zeros(batch, dtype=torch.long, device=like.device)
        low = self.low.initial_state(batch, device, dtype)
        return DynamicRateState(0, past, recent, chances, number, recent[:, 0], number - 1, low)

    @property
    def _kept(self) -> int:
        """Tokens of a state: the last segment, and the last two chunks."""
        return max(self.span, 2 * self.factors[-1])

    def _chances(self, before: Float[Tensor, "*B F"]) -> Float[Tensor, "*B k"]:
        """Chances of the factors, from the summary of the segment before."""
        scores = self.router(before)
        return scores.to(torch.promote_types(scores.dtype, torch.float32)).softmax(-1)

    def _slow(self, whole: Float[Tensor, "B W D"], choice: Int[Tensor, "B n"], length: int) -> Tensor | None:
        """What the blocks add to each of the first `length` tokens; None where there is no complete chunk."""
        rates = self.rates[choice].repeat_interleave(self.span, dim=1)[:, :length]
        number = choice.repeat_interleave(self.span, dim=1)[:, :length]
        at = torch.arange(length, device=whole.device)
        ends = (at + 1) % rates == 0
        tokens = [down(chunks(whole, r)) for down, r in zip(self.down, self.factors, strict=True)]
        starts = torch.tensor([0] + [x.shape[1] for x in tokens[:-1]], device=whole.device).cumsum(0)
        tokens = torch.cat([x + rate for x, rate in zip(tokens, self.rate, strict=True)], dim=1)
        source = starts[number] + at // rates
        slow = on_taken(lambda x: self.norm(self.low(x)), tokens, ends, length // self.factors[0], source)
        if slow is None:
            return None
        since = at - torch.where(ends, at, -1).cummax(1).values
        return slow * F.embedding(since, self.up.phases)

    def _token(self, recent: Float[Tensor, "w D"], number: int) -> Float[Tensor, " D"]:
        """The blocks' input for the chunk that the last token completes, at the factor of this number."""
        down, factor = self.down[number], self.factors[number]
        now, before = recent[-factor:], recent[-2 * factor : -factor]
        return down.parts(now)[0] + down.parts(before)[1] + self.rate[number]

    def _fix(self, chances: dict[int, float]) -> None:
        nn.init.zeros_(self.router.weight)
        with torch.no_grad():
            for number, factor in enumerate(self.factors):
                self.router.bias[number] = math.log(max(chances.get(factor, 0.0), 1e-30))


def check(config: MrssConfig) -> None:
    """Accept a factor, which stands for its halves, too, or several different ones."""
    check_factors(choices(config))


def choices(config: MrssConfig) -> tuple[int, ...]:
    """The factors that a config lets a router choose from: those it names, or the halves of the one that it names."""
    return config.factor if isinstance(config.factor, tuple) else halves(config.factor)


def mixers(config: MrssConfig, *, generator: torch.Generator | None = None) -> Iterator[nn.Module]:
    """Mixers of the form "dynamic_rate": one `DynamicRate` with all blocks, which decides for every segment."""
    yield DynamicRate(config.mamba, choices(config), config.mamba.layers, config.budget, generator=generator)
