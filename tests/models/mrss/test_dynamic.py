"""Dynamic resolution: the budget is a cap that looks back only, and what is not chosen is not computed."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from mrss_mixers import mixer, sequence
from torch.testing import assert_close

from lib.models.mrss.dynamic import Dynamic, balance, quota, spend, within_budget
from lib.models.ssm.mamba import MambaBlock, MambaConfig

walks = st.lists(st.booleans(), min_size=1, max_size=40)
budgets = st.floats(0.01, 1)


def one_by_one(wanted, budget):
    used, taken = 0, []
    for seen, want in enumerate(wanted, start=1):
        taken.append(want and used < quota(budget, seen))
        used += taken[-1]
    return taken


@given(walks, budgets)
def test_the_closed_form_is_first_come_first_served(wanted, budget):
    assert within_budget(torch.tensor([wanted]), budget)[0].tolist() == one_by_one(wanted, budget)


@given(walks, budgets)
def test_the_budget_holds_at_every_time(wanted, budget):
    used = within_budget(torch.tensor([wanted]), budget)[0].cumsum(0).tolist()
    assert all(count <= quota(budget, seen) for seen, count in enumerate(used, start=1))


def test_a_budget_of_one_takes_all_that_is_wanted():
    wanted = torch.rand(3, 20, generator=torch.Generator().manual_seed(0)) > 0.5
    assert torch.equal(within_budget(wanted, 1.0), wanted)


def test_a_quota_does_not_suffer_from_rounding():
    assert [quota(0.1, n) for n in (1, 10, 11, 30)] == [1, 1, 2, 3]


@pytest.mark.parametrize("budget", [0.25, 0.5, 1.0])
def test_only_chosen_chunks_reach_the_full_rate(budget, monkeypatch):
    module, x = spend(mixer("dynamic", 4, 5, 0, budget=budget)), sequence(64, 5, 0, batch=1)
    lengths = []
    monkeypatch.setattr(module.full, "forward", lambda y: lengths.append(y.shape[1]) or y)
    module(x)
    assert lengths == [budget * 64]


def test_no_chunk_is_wanted_and_none_is_computed(monkeypatch):
    module, x = mixer("dynamic", 4, 5, 0), sequence(64, 5, 0)
    module.router.bias.data.fill_(-100)
    monkeypatch.setattr(module.full, "forward", lambda y: pytest.fail("computed at full rate"))
    module(x)


def test_a_sequence_does_not_depend_on_its_neighbours():
    module, x = mixer("dynamic", 3, 4, 5), sequence(40, 4, 1, batch=4)
    assert_close(module(x), torch.cat([module(row[None]) for row in x]))


def test_the_router_learns_from_the_output_and_from_its_budget():
    module = mixer("dynamic", 4, 5, 3)
    out = module(sequence(64, 5, 0)).sum()
    for loss in (out, balance(module)):
        assert torch.autograd.grad(loss, module.router.weight, retain_graph=True)[0].abs().sum() > 0


def test_the_balance_is_the_distance_from_the_budget():
    module = mixer("dynamic", 4, 5, 0, budget=0.25)
    assert balance(module) == 0  # nothing has run yet
    module.router.weight.data.zero_()
    module.router.bias.data.zero_()
    module(sequence(16, 5, 0))
    assert balance(module).item() == pytest.approx((0.5 - 0.25) ** 2)
    assert balance(MambaBlock(MambaConfig(dim=4, layers=1))) == 0


@pytest.mark.parametrize(("full", "budget", "message"), [(0, 0.5, "full = 0"), (1, 0.0, "= 0.0"), (1, 1.5, "= 1.5")])
def test_what_cannot_be_routed_is_refused(full, budget, message):
    with pytest.raises(ValueError, match=message):
        Dynamic(MambaConfig(dim=4, layers=1), 4, 1, full, budget)
