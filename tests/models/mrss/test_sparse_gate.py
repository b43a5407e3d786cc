"""A gate that skips: what it closes is not computed, what it opens is the dual branch, and its cost is what is open."""

import pytest
import torch
from mrss_mixers import mixer, sequence, streamed
from refusals import refused
from torch.testing import assert_close

from lib.models.mrss.config import MrssConfig
from lib.models.mrss.dual_branch import DualBranch
from lib.models.mrss.dynamic import balance, quota, spend
from lib.models.mrss.low_rate import LowRate
from lib.models.mrss.sparse_gate import SparseGate
from lib.models.ssm.mamba import MambaConfig
from lib.profilers.flops import flops

FACTOR = 4


def gate(dim=5, seed=1, **options):
    return mixer("sparse_gate", FACTOR, dim, seed, **options)


def by_loop(module, x):
    """One sequence, chunk after chunk: the full-rate branch sees the tokens of open chunks, behind one another."""
    low, open_tokens, parts = module.low(x[None, :: module.span])[0], [], []
    for number, part in enumerate(x.split(module.span)):
        score = module.router(torch.cat([part[0], low[number]]))
        wanted = score.item() > 0 and sum(is_open for *_, is_open in parts) < quota(module.budget, number + 1)
        open_tokens += [*part] if wanted else []
        parts.append((part, low[number], wanted))
    high = iter(module.high(torch.stack(open_tokens)[None])[0]) if open_tokens else None
    out = []
    for part, slow, is_open in parts:
        for token in part:
            g = torch.sigmoid(module.gate(token))
            out.append(g * slow + (1 - g) * next(high) if is_open else slow)
    return torch.stack(out), [float(is_open) for *_, is_open in parts]


@pytest.mark.parametrize("seed", range(6))
@torch.no_grad()
def test_it_is_the_written_out_loop(seed):
    module, x = gate(seed=seed), sequence(39, 5, seed, batch=3)
    found, wanted = module(x), [by_loop(module, row) for row in x]
    assert_close(found, torch.stack([out for out, _ in wanted]))
    assert module.used.tolist() == [used for _, used in wanted]


@torch.no_grad()
def test_all_open_it_is_the_dual_branch(generator):
    module, x = gate(budget=1.0), sequence(30, 5, 2)
    module.decide(1.0)
    dual = DualBranch(module.config, (FACTOR,)).double()
    dual.high, dual.low[0], dual.gates[0] = module.high, module.low, module.gate
    assert_close(module(x), dual(x))


@torch.no_grad()
def test_a_closed_full_rate_branch_is_not_computed(monkeypatch):
    module, x = gate(), sequence(30, 5, 2)
    module.decide(-1.0)
    monkeypatch.setattr(module.high, "forward", lambda _: pytest.fail("computed at full rate"))
    monkeypatch.setattr(module.high, "step", lambda *_: pytest.fail("computed at full rate"))
    low = module.low(x[:, ::FACTOR]).repeat_interleave(FACTOR, dim=1)[:, :30]
    assert_close(module(x), low)
    assert_close(streamed(module, x), low)


@torch.no_grad()
def test_the_full_rate_branch_does_not_see_closed_chunks():
    module, x = gate(seed=3), sequence(64, 5, 4, batch=1)
    before = module(x)
    closed = (module.used[0] == 0).nonzero()[:, 0]
    assert 0 < len(closed) < 16
    at = int(closed[0]) * FACTOR
    x[:, at + 1 : at + FACTOR] += 10  # not its first token, which the low-rate branch sees
    assert torch.equal(module(x), before)


@torch.no_grad()
def test_cost_is_that_of_the_low_rate_branch_and_of_the_open_chunks():
    module, x = gate(dim=6), sequence(64, 6, 0)
    module.decide(-1.0)
    closed = flops(lambda: module(x))
    for chunks in (4, 8, 16):
        module.decide(1.0)
        module.budget = chunks / 16
        taken = x[:, : chunks * FACTOR]
        assert flops(lambda: module(x)) - closed == flops(lambda: module.gate(module.high(taken)))  # noqa: B023
    assert closed < flops(lambda: module.low(x)) / 3


@torch.no_grad()
def test_sequences_of_unequal_use_do_not_depend_on_each_other():
    module, x = gate(budget=1.0), sequence(60, 5, 3, batch=7)
    together = module(x)
    assert len(set(module.used.sum(1).tolist())) > 2
    assert_close(together, torch.cat([module(row[None]) for row in x]))


def test_gradients_reach_the_router_from_the_output_and_from_its_budget():
    module = gate()
    out = module(sequence(64, 5, 0)).square().sum()
    for loss in (out, balance(module)):
        assert torch.autograd.grad(loss, module.router.weight, retain_graph=True)[0].abs().sum() > 0
    out.backward()
    assert all(weight.grad.any() for branch in (module.high, module.low) for weight in branch.parameters())


def test_the_balance_is_the_distance_of_what_wants_to_open_from_the_budget():
    module, x = gate(budget=0.25), sequence(64, 5, 0)
    assert balance(module) == 0  # nothing has run yet
    for bias, share in ((1.0, 1.0), (-1.0, 0.0)):
        module.decide(bias)
        module(x)
        assert balance(module).item() == pytest.approx((share - 0.25) ** 2)
        step = torch.autograd.grad(balance(module), module.router.bias)[0].item()
        assert step * (share - 0.25) > 0  # down, where too many want to open


def test_a_budget_that_is_used_up_is_never_exceeded():
    module = spend(gate(budget=0.4))
    module(sequence(80, 5, 0))
    assert module.used.sum(1).tolist() == [8.0, 8.0]
    assert all(int(module.used[0, : n + 1].sum()) <= quota(0.4, n + 1) for n in range(20))


def test_what_cannot_be_gated_is_refused():
    sizes = MambaConfig(dim=4, layers=1)
    with refused("factor = 0: an integer from 1 to 65536 is needed"):
        SparseGate(sizes, 0)
    with refused("budget = 1.5: more than 0 and at most 1 is needed"):
        SparseGate(sizes, 2, 1.5)
    with refused("factor = (2, 4): 'sparse_gate' takes one integer"):
        MrssConfig(sizes, "sparse_gate", (2, 4))
    with refused("state is of type LowRateState: a SparseGateState is needed", TypeError):
        SparseGate(sizes, 2).step(torch.zeros(2, 4), LowRate(sizes, 2, 1).initial_state(2))
    with refused("state.held of shape (3, 4): (2, 4) is needed"):
        SparseGate(sizes, 2).step(torch.zeros(2, 4), SparseGate(sizes, 2).initial_state(3))
