"""Which factor a segment gets: as often as its chance says, without a draw."""

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F
from torch.testing import assert_close

from lib.models.mrss.rates import chosen, halves, moments, summary


@given(st.lists(st.floats(0.01, 1), min_size=1, max_size=5))
def test_factors_come_as_often_as_their_chances_say(chances):
    chances = torch.tensor(chances, dtype=torch.float64)
    chances = chances / chances.sum()
    found = chosen(chances.expand(500, -1), torch.arange(500)).bincount(minlength=len(chances))
    assert (found - 500 * chances).abs().max() < 5


def test_a_sure_router_has_its_way():
    chances = F.one_hot(torch.arange(40) % 3, 3).double()
    assert torch.equal(chosen(chances, torch.arange(40)), torch.arange(40) % 3)


def test_without_a_number_it_is_the_median():
    chances = torch.tensor([[0.2, 0.2, 0.6], [0.6, 0.2, 0.2], [0.4, 0.2, 0.4]])
    assert chosen(chances, None).tolist() == [2, 0, 1]


def test_halves_are_taken_while_they_are_whole():
    assert [halves(factor) for factor in (1, 2, 6, 7, 8)] == [(1,), (1, 2), (1, 3, 6), (1, 7), (1, 2, 4, 8)]


def test_a_summary_is_of_means_and_deviations(generator):
    x = torch.randn(3, 2, 8, 5, generator=generator, dtype=torch.float64)
    assert_close(summary(moments(x)), torch.cat([x.mean(2), (x.var(2, unbiased=False) + 1e-5).sqrt()], dim=-1))
