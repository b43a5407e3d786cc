"""What held-back data chooses by: as many sequences as have so many tokens, the same for all."""

import pytest
import torch
from refusals import refused

from lib.tasks.training.protocol import FEWEST, HELD_BACK, RATES, TRIED, first


@pytest.mark.parametrize(
    ("length", "tokens", "count"), [(8, 800, 100), (8, 807, 100), (50, 100, FEWEST), (8, 10**6, 200)]
)
def test_sequences_that_judge_have_so_many_tokens_together(length, tokens, count):
    x = torch.arange(200 * length).reshape(200, length)
    found, answers = first((x, x[:, 0]), tokens)
    assert torch.equal(found, x[:count])
    assert torch.equal(answers, x[:count, 0])


def test_no_tokens_are_refused():
    with refused("tokens = 0: an integer of at least 1 is needed"):
        first((torch.zeros(1, 1), torch.zeros(1)), 0)


def test_a_trial_has_a_seed_that_a_generator_knows_and_none_of_a_training():
    assert max(RATES) / min(RATES) == 8
    assert 1000 < TRIED < 2**32  # a CPU's generator reads a seed modulo 2**32
    assert HELD_BACK % 1024 == 0
