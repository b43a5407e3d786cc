"""Rates that are chosen: segments at their factors, in one sequence of uneven rate, at the cost of its tokens."""

import math

import pytest
import torch
from mrss_mixers import mixer, sequence, streamed
from refusals import refused
from torch.nn import functional as F
from torch.testing import assert_close

from lib.models.mrss.config import MrssConfig
from lib.models.mrss.dynamic import balance, spend
from lib.models.mrss.dynamic_rate import DynamicRate
from lib.models.mrss.low_rate import LowRate
from lib.models.mrss.rates import moments, summary
from lib.models.mrss.variants import mixers, model
from lib.models.ssm.mamba import MambaConfig
from lib.profilers.flops import flops
from lib.tasks.training.loop import train

KINDS = ("dynamic_rate", "sequence_rate")
SIZES = MambaConfig(dim=4, layers=1)


def rated(kind="dynamic_rate", factor=4, dim=5, seed=1):
    return mixer(kind, factor, dim, seed)


def by_loop(module, x):
    """One sequence, token after token: the blocks' tokens are filtered chunks, and outputs take from the last one."""
    fast, gate = module_inputs(module, x[None])[0], module.in_proj(x).chunk(2, dim=-1)[1]
    span, tokens, ends, used = module.span, [], [], []
    before = torch.zeros(2 * x.shape[1], dtype=x.dtype)
    for number, segment in enumerate(fast.split(span)):
        if number == 1 or (number and not module.once):
            last = fast[(number - 1) * span : number * span]
            before = torch.cat([last.mean(0), (last.var(0, unbiased=False) + 1e-5).sqrt()])
        chances = module.router(before).softmax(-1)
        point, choice = (number + 1) * (math.sqrt(5) - 1) / 2 % 1, 0
        while point >= chances[: choice + 1].sum() and choice < len(chances) - 1:
            choice += 1
        factor = module.factors[choice]
        used.append(1 / factor)
        for chunk, part in enumerate(segment.split(factor)):
            if len(part) == factor:
                tokens.append((part * module.down[choice]).sum(0) + module.rate[choice])
                ends.append(number * span + (chunk + 1) * factor - 1)
    slow, out = module.norm(module.low(torch.stack(tokens)[None])[0]), []
    for at, token in enumerate(fast):
        last = [number for number, end in enumerate(ends) if end <= at]
        more = slow[last[-1]] * module.up.phases[at - ends[last[-1]]] if last else 0
        out.append(module.out_proj((token + more) * F.silu(gate[at])))
    return torch.stack(out), used


def module_inputs(module, x):
    """What the router's summaries and the blocks' tokens are made of, in a batch."""
    fast, kernel = module.in_proj(x).chunk(2, dim=-1)[0], module.conv1d.weight.shape[2]
    return F.silu(module.conv1d(F.pad(fast.mT, (kernel - 1, 0)))).mT


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(4))
@torch.no_grad()
def test_it_is_the_written_out_loop(kind, seed):
    module, x = rated(kind, seed=seed), sequence(39, 5, seed)
    found, wanted = module(x), [by_loop(module, row) for row in x]
    assert_close(found, torch.stack([out for out, _ in wanted]))
    assert_close(module.used, torch.tensor([used for _, used in wanted], dtype=x.dtype))
    assert len(module.used.unique()) > 1


@pytest.mark.parametrize("factor", [1, 2, 4])
@torch.no_grad()
def test_at_one_factor_it_is_the_low_rate(factor):
    module, x = rated(), sequence(39, 5, 0)
    module.decide(factor)
    low = LowRate(module.config, factor, 1).double()
    for name in ("in_proj", "conv1d", "low", "norm", "out_proj"):
        setattr(low, name, getattr(module, name))
    number = module.factors.index(factor)
    module.rate[number] = 0
    low.up.phases.copy_(module.up.phases[:factor])
    low.down.taps.copy_(torch.stack([module.down[number], torch.zeros(factor, 5, dtype=x.dtype)]))
    assert_close(module(x), low(x))


@torch.no_grad()
def test_cost_beyond_the_full_rate_layers_is_one_over_the_factor():
    module, x = rated(factor=8, dim=6), sequence(64, 6, 0)
    costs = {}
    for factor in module.factors:
        module.decide(factor)
        costs[factor] = flops(lambda: module(x))
    of_blocks = {factor: flops(lambda: module.low(x[:, ::factor])) for factor in module.factors}  # noqa: B023
    assert {factor: costs[factor] - costs[8] for factor in costs} == {
        factor: of_blocks[factor] - of_blocks[8] for factor in costs
    }


@torch.no_grad()
def test_a_batch_costs_what_its_sequences_choose(monkeypatch):
    module, x = rated(factor=8), sequence(640, 5, 0, batch=8)
    x[::2] *= 20  # so that the router sees two kinds
    seen = []
    run = module.low.forward
    monkeypatch.setattr(module.low, "forward", lambda y: seen.append(y.shape[0] * y.shape[1]) or run(y))
    module(x)
    chosen_tokens = (module.used * module.span).sum().item()
    assert chosen_tokens <= sum(seen) <= chosen_tokens * 9 / 8


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_sequences_of_unequal_rates_do_not_depend_on_each_other(kind):
    module, x = rated(kind), sequence(60, 5, 3, batch=6) * torch.arange(1, 7)[:, None, None]
    together = module(x)
    assert len(set(module.used.sum(1).tolist())) > 2
    assert_close(together, torch.cat([module(row[None]) for row in x]))


@torch.no_grad()
def test_a_sequence_keeps_the_chances_of_its_first_segment():
    module, x = rated("sequence_rate"), sequence(80, 5, 0)
    module(x)
    before = module.wanted.clone()
    assert_close(before[:, 1:], before[:, 1:2].expand(-1, 19))
    x[:, 4:] *= 3
    module(x)
    assert_close(module.wanted, before)
    x[:, :4] *= 3
    module(x)
    assert (module.wanted[:, 1:] - before[:, 1:]).abs().max() > 1e-3


@torch.no_grad()
def test_out_of_training_a_sequence_has_one_factor_the_median():
    module, x = rated("sequence_rate").eval(), sequence(60, 5, 3, batch=6) * torch.arange(1, 7)[:, None, None]
    found = module(x)
    chances = module._chances(summary(moments(module_inputs(module, x)[:, :4])))
    median = [next(r for r, total in zip(module.factors, row.cumsum(0), strict=True) if total > 0.5) for row in chances]
    assert module.used[:, 1:].tolist() == [[1 / r] * 14 for r in median]
    assert len(set(median)) > 1
    assert_close(found, streamed(module, x))


def test_gradients_reach_the_router_from_the_output_and_from_its_budget():
    module = rated()
    out = module(sequence(64, 5, 0)).square().sum()
    for loss in (out, balance(module)):
        assert torch.autograd.grad(loss, module.router.weight, retain_graph=True)[0].abs().sum() > 0


def test_the_balance_is_the_distance_of_the_share_of_tokens_from_the_budget():
    module, x = rated(), sequence(64, 5, 0)
    assert balance(module) == 0  # nothing has run yet
    for factor in module.factors:
        module.decide(factor)
        module(x)
        assert balance(module).item() == pytest.approx((1 / factor - 0.5) ** 2)


def test_a_budget_is_used_up():
    module = spend(rated())
    for budget in (0.3, 0.6, 1.0):
        module.budget = budget
        module.spend()
        module(sequence(400, 5, 0))
        assert module.used.mean().item() == pytest.approx(budget, abs=0.02)


def test_a_factor_stands_for_its_halves_and_one():
    (module,) = mixers(MrssConfig(SIZES, "dynamic_rate", 6), generator=torch.Generator())
    assert module.factors == (1, 3, 6)
    (module,) = mixers(MrssConfig(SIZES, "dynamic_rate", (4, 2)), generator=torch.Generator())
    assert module.factors == (2, 4)


def news(size, generator, length=128):
    """Tokens of which some say one of four words, often or never in turn; the last word; and when they are frequent."""
    change = torch.rand(size, length, generator=generator) < 1 / 48
    busy = (change.cumsum(1) + torch.randint(2, (size, 1), generator=generator)) % 2 == 1
    words = torch.randint(1, 5, (size, length), generator=generator)
    words *= busy & (torch.rand(size, length, generator=generator) < 0.25)
    at = torch.where(words > 0, torch.arange(length), -1).cummax(1).values
    return words, torch.where(at >= 0, words.gather(1, at.clamp(min=0)), 0), busy


@pytest.mark.slow
@pytest.mark.usefixtures("unchecked")
def test_a_router_learns_to_spend_where_there_is_news(generator):
    config = MrssConfig(MambaConfig(dim=24, layers=2, vocabulary=5), "dynamic_rate", 8)
    classifier = model(config, None, 5, pooling="none", generator=generator)

    def losses():
        while True:
            words, last, _ = news(16, generator)
            yield F.cross_entropy(classifier(words).flatten(0, 1), last.flatten()) + balance(classifier)

    train(classifier, losses(), 200, rate=8e-3, progress=False)
    words, last, busy = news(64, generator)
    with torch.no_grad():
        right = (classifier(words).argmax(-1) == last).float().mean().item()
    (mixer,) = (module for module in classifier.modules() if isinstance(module, DynamicRate))
    used = mixer.used.repeat_interleave(mixer.span, dim=1)
    assert right > 0.6
    assert used.mean().item() == pytest.approx(config.budget, abs=0.05)
    assert used[busy].mean() > used[~busy].mean() + 0.05


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: DynamicRate(SIZES, (2, 2), 1), "factors = (2, 2): different ones are needed"),
        (lambda: DynamicRate(SIZES, (0, 2), 1), "factors = (0, 2): one or more integers from 1 to 65536 are needed"),
        (lambda: DynamicRate(SIZES, (), 1), "factors = (): one or more integers from 1 to 65536 are needed"),
        (lambda: DynamicRate(SIZES, (65535, 65536), 1), "factors = (65535, 65536): different ones are needed, of a"),
        (lambda: DynamicRate(SIZES, (1, 2), 0), "layers = 0: an integer of at least 1 is needed"),
        (lambda: DynamicRate(SIZES, (1, 2), 1, 0.0), "budget = 0.0: more than 0 and at most 1 is needed"),
        (lambda: DynamicRate(SIZES, (1, 2), 1).decide(3), "factor = 3: one of 1, 2 is needed"),
        (lambda: MrssConfig(SIZES, "sequence_rate", (4, 4)), "factors = (4, 4): different ones are needed"),
    ],
)
def test_what_cannot_be_chosen_from_is_refused(make, said):
    with refused(said):
        make()


def test_a_state_of_another_kind_or_size_is_refused():
    module, x = DynamicRate(SIZES, (1, 2), 1), torch.zeros(2, 4)
    with refused("state is of type LowRateState: a DynamicRateState is needed", TypeError):
        module.step(x, LowRate(SIZES, 2, 1).initial_state(2))
    with refused("state.convolution of shape (3, 3, 4): (2, 3, 4) is needed"):
        module.step(x, module.initial_state(3))
    with refused("state.chances of shape (2, 3): (2, 2) is needed"):
        module.step(x, DynamicRate(SIZES, (1, 2, 4), 1).initial_state(2))
