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
from lib.models.mrss.gather import gathered, held, longest
from lib.models.mrss.rates import check_factors, chosen, halves, moments, summary
from lib.models.mrss.resample import Upsample, chunks
from lib.models.mrss.routing import reached
from lib.models.ssm.convolution import causal_convolution_step, convolution_silu
from lib.models.ssm.mamba_block import MambaBlock, MambaConfig, fresh
from lib.models.ssm.residual import Residual

SEVERAL = True  # factors at once


class DynamicRateState(NamedTuple):
    """State of a `DynamicRate` between tokens."""

    seen: int
    convolution: Float[Tensor, "B K-1 D"]
    segment: Float[Tensor, "B 2 D"]  # its moments, as far as it has come
    chances: Float[Tensor, "B k"]  # of the factors, as the router saw them last
    choice: Int[Tensor, " B"]  # number of the segment's factor
    token: Float[Tensor, "B D"]  # the blocks' next one, so far
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
    once     whether the router decides for a whole sequence, after its first segment, and not for each. In training
             mode its segments take turns, so that all factors are learned; else they have one factor, the median
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
        bounds = [(factor, factor**-0.5) for factor in self.factors]
        taps = (torch.empty(r, dim).uniform_(-bound, bound, generator=generator) for r, bound in bounds)
        self.down = nn.ParameterList(taps)  # weights of a chunk's tokens in the blocks' one, per channel
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
        before = summary(moments(chunks(whole, self.span))).to(fast.dtype)
        before = F.pad(before[:, :-1], (0, 0, 1, 0))
        number = torch.arange(before.shape[1], device=x.device)
        chances = self._chances(before[:, number.clamp(max=1)] if self.once else before)
        choice = chosen(chances, None if self._one else number)
        shares = 1 / self.rates.to(chances.dtype)
        self.used, self.wanted = shares[choice], (chances * shares).sum(-1)
        slow = self._slow(whole, choice, length)
        if slow is not None:
            chance = chances.gather(-1, choice.unsqueeze(-1))
            # Against the mean: what helps less than other choices is none to repeat, though it helps.
            weight = reached(torch.ones_like(chance), chance - chance.mean())
            weight = weight.repeat_interleave(self.span, dim=1)[:, :length]
            fast = fast + slow * weight.to(slow.dtype)
        return self.out_proj(fast * F.silu(gate))

    def step(self, x: Float[Tensor, "B D"], state: DynamicRateState) -> tuple[Float[Tensor, "B D"], DynamicRateState]:
        """Mix one token; the blocks run where it ends a chunk. The state given does not change."""
        check_shape("input", x, "B", self.config.dim)
        check_precision("input", x, self.in_proj)
        check_state(state, DynamicRateState)
        check_shape("state.convolution", state.convolution, x.shape[0], self.config.kernel - 1, self.config.dim)
        check_shape("state.chances", state.chances, x.shape[0], len(self.factors))
        number, place = divmod(state.seen, self.span)
        chances, choice, seen = state.chances, state.choice, state.segment
        if place == 0:
            if number < 2 or not self.once:
                chances = self._chances(
                    summary(seen).to(x.dtype) if number else x.new_zeros(x.shape[0], 2 * x.shape[1])
                )
            choice = chosen(chances, None if self._one else torch.tensor(number, device=x.device))
            seen = torch.zeros_like(seen)
        fast, gate = self.in_proj(x).chunk(2, dim=-1)
        window = torch.cat([state.convolution, fast.unsqueeze(1)], dim=1)
        fast = F.silu(causal_convolution_step(window, self.conv1d.weight, self.conv1d.bias))
        seen = seen + moments(fast.unsqueeze(1)) / self.span
        token = state.token + fast * F.embedding(choice * self.span + place, self._taps())
        slow, since, low = state.slow, state.since + 1, state.low
        ends = ((place + 1) % self.rates[choice] == 0).nonzero()[:, 0]
        if len(ends):
            own = tree_map(lambda tensor: tensor[ends], low)
            out, own = self.low.step(token[ends] + F.embedding(choice[ends], self.rate), own)
            low = tree_map(lambda tensor, new: tensor.index_copy(0, ends, new.to(tensor.dtype)), low, own)
            slow, since = slow.index_copy(0, ends, self.norm(out).to(slow.dtype)), since.index_fill(0, ends, 0)
            token = token.index_fill(0, ends, 0)
        fast = fast + slow * F.embedding(since, self.up.phases)
        state = DynamicRateState(state.seen + 1, window[:, 1:], seen, chances, choice, token, slow, since, low)
        return self.out_proj(fast * F.silu(gate)), state

    def initial_state(
        self, batch: int, device: str | torch.device | None = None, dtype: torch.dtype | None = None
    ) -> DynamicRateState:
        """The state before the first token: zeros, on the weights' device and in their dtype where left out."""
        like, dim = self.out_proj.weight, self.config.dim
        zeros = torch.zeros(batch, max(self.config.kernel - 1, 2), dim, device=device or like.device)
        precise = zeros.to(torch.promote_types(dtype or like.dtype, torch.float32))
        zeros, number = zeros.to(dtype or like.dtype), zeros[:, 0, 0].long()
        chances = precise.new_zeros(batch, len(self.factors))
        past, segment = zeros[:, : self.config.kernel - 1], precise[:, :2]
        low = self.low.initial_state(batch, device, dtype)
        return DynamicRateState(0, past, segment, chances, number, zeros[:, 0], zeros[:, 0], number - 1, low)

    @property
    def _one(self) -> bool:
        """Whether all segments with the same chances have the same factor."""
        return self.once and not self.training

    def _chances(self, before: Float[Tensor, "*B F"]) -> Float[Tensor, "*B k"]:
        """Chances of the factors, from the summary of the segment before."""
        scores = self.router(before)
        return scores.to(torch.promote_types(scores.dtype, torch.float32)).softmax(-1)

    def _slow(self, whole: Float[Tensor, "B W D"], choice: Int[Tensor, "B n"], length: int) -> Tensor | None:
        """What the blocks add to each of the first `length` tokens; None where there is no complete chunk."""
        at = torch.arange(whole.shape[1], device=whole.device)
        number = choice.repeat_interleave(self.span, dim=1)
        ends = (at + 1) % self.rates[number] == 0
        so_far = ends[:, :length].cumsum(1)
        count = longest(so_far, length // self.factors[0])
        if count == 0:
            return None
        weighted = whole * F.embedding(number * self.span + at % self.span, self._taps())
        chunk = (ends.cumsum(1) - ends.long()).clamp(max=count)  # the last one holds what is not complete
        first = torch.arange(whole.shape[0], device=whole.device).unsqueeze(1) * (count + 1)
        tokens = weighted.new_zeros(whole.shape[0] * (count + 1), whole.shape[2])
        tokens = tokens.index_add(0, (first + chunk).flatten(), weighted.flatten(0, 1))
        tokens = tokens.unflatten(0, (whole.shape[0], count + 1))[:, :count]
        tokens = tokens + F.embedding(gathered(number[:, :length], so_far, count), self.rate)
        slow = held(lambda x: self.norm(self.low(x)), tokens, so_far)
        at, ends = at[:length], ends[:, :length]
        since = at - torch.where(ends, at, -1).cummax(1).values
        return slow * F.embedding(since, self.up.phases)

    def _taps(self) -> Float[Tensor, "kS D"]:
        """Weights of the tokens of a segment in the tokens of the blocks, a table for each factor."""
        return torch.cat([taps.repeat(self.span // len(taps), 1) for taps in self.down])

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
