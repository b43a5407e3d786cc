"""Every multi-resolution mixer looks back only, and its steps equal the whole sequence, at any T, r and D."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mrss_mixers import KINDS, mixer, sequence, sizes, streamed
from torch.testing import assert_close

from lib.models.mrss.low_rate import LowRate
from lib.models.ssm.mamba import MambaConfig

many = settings(max_examples=60, deadline=None)


@many
@given(**sizes, part=st.floats(0, 1))
@torch.no_grad()
def test_a_change_alters_nothing_before_it(kind, length, factor, dim, seed, part):
    module, x = mixer(kind, factor, dim, seed), sequence(length, dim, seed)
    at = int(part * (length - 1))
    later = x.clone()
    later[:, at:] += 1 + sequence(length - at, dim, seed + 1).abs()
    assert_close(module(later)[:, :at], module(x)[:, :at])


@pytest.mark.slow
@many
@given(**sizes)
@torch.no_grad()
def test_steps_equal_the_whole_sequence(kind, length, factor, dim, seed):
    module, x = mixer(kind, factor, dim, seed), sequence(length, dim, seed)
    assert_close(streamed(module, x), module(x), rtol=1e-9, atol=1e-9)


@many
@given(**sizes)
@torch.no_grad()
def test_the_first_outputs_are_those_of_the_first_tokens(kind, length, factor, dim, seed):
    module, x = mixer(kind, factor, dim, seed), sequence(length + 5, dim, seed)
    assert_close(module(x)[:, :length], module(x[:, :length]))


@pytest.mark.parametrize("kind", KINDS)
def test_a_token_is_seen_from_the_next_slow_token_on(kind):
    module = mixer(kind, 4, 6, 1)
    x = sequence(24, 6, 2).requires_grad_()
    seen = torch.autograd.grad(module(x)[:, -1].sum(), x)[0].abs().sum((0, 2))
    assert (seen[:-4] > 0).any()  # the state carries what is long gone


@pytest.mark.parametrize("kind", KINDS)
def test_a_step_leaves_the_state_that_it_starts_from(kind):
    module, x = mixer(kind, 2, 3, 0), sequence(6, 3, 0)
    state = module.initial_state(2)
    for token in x.unbind(1):
        first, after = module.step(token, state)
        again, _ = module.step(token, state)
        assert torch.equal(first, again)
        state = after


def test_a_leak_would_be_found():
    """The check of causality sees a low-rate path that is not delayed."""
    module, x = LowRate(MambaConfig(dim=2, layers=1), 4, 1), torch.randn(1, 8, 2)
    later = x.clone()
    later[:, 3] += 1
    with torch.no_grad():
        ahead = [module.up(module.low(module.down(y.unflatten(1, (2, 4))))).flatten(1, 2) for y in (x, later)]
    assert not torch.equal(ahead[0][:, :3], ahead[1][:, :3])
