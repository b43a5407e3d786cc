"""MQAR by a solver that looks keys up, and copying and induction at larger sizes."""

import pytest
import torch

from lib.tasks.data.copying import copying
from lib.tasks.data.copying_long import copying_long
from lib.tasks.data.induction import induction
from lib.tasks.data.induction_long import induction_long
from lib.tasks.data.mqar import BLANK, mqar
from lib.tasks.data.sequences import IGNORE

SIZES = {"length": 48, "pairs": 6, "vocabulary": 20, "tested": 300}


def solved(x, answers, start=0):
    """Share of the answers that follow the first place, from a start on, where the token asked for stands."""
    right = []
    for row, wanted in zip(x.tolist(), answers.tolist(), strict=True):
        for place, value in enumerate(wanted):
            if value != IGNORE:
                first = row.index(row[place], start)
                right.append(row[first + 1 : first + 2] == [value])
    return sum(right) / len(right)


def test_looking_keys_up_answers_all(generator):
    assert solved(*mqar(generator, **SIZES).test) == 1


def test_without_the_pairs_nothing_can_be_looked_up(generator):
    x, answers = mqar(generator, **SIZES).test
    assert solved(x, answers, start=12) == 0
    told = answers[answers != IGNORE]  # as likely each, so that a guess is right in 1 of 10
    assert torch.allclose(told.bincount(minlength=20)[10:] / len(told), torch.tensor(0.1), atol=0.025)
    assert told.min() >= 10


def test_a_sequence_has_its_pairs_first_and_each_key_once_more(generator):
    x, answers = mqar(generator, **SIZES).test
    keys, values, later = x[:, :12:2], x[:, 1:12:2], x[:, 12:]
    assert (keys.min() > BLANK, keys.max() < 10, values.min() >= 10) == (True, True, True)
    assert (keys.sort(1).values.diff(dim=1) > 0).all()
    assert torch.equal(later[later != BLANK].view(-1, 6).sort(1).values, keys.sort(1).values)
    assert torch.equal(x != BLANK, (answers != IGNORE) | (torch.arange(48) < 12))


@pytest.mark.parametrize("alpha", [0.1, 1])
def test_gaps_follow_a_power_law(alpha, generator):
    _, answers = mqar(generator, length=12, pairs=1, vocabulary=8, alpha=alpha, tested=20_000).test
    found = (answers != IGNORE).double().mean(0)
    expected = torch.arange(1, 11, dtype=torch.float64) ** (alpha - 1)
    assert found[:2].sum() == 0
    torch.testing.assert_close(found[2:], expected / expected.sum(), atol=0.015, rtol=0)


def test_queries_can_fill_all_that_is_left(generator):
    x, answers = mqar(generator, length=12, pairs=4, vocabulary=10, tested=20).test
    assert ((answers != IGNORE).sum(1) == 4).all()
    assert (x != BLANK).all()


def test_long_sequences_keep_their_pairs(generator):
    task = mqar(generator, length=4096, pairs=128, vocabulary=512, tested=2)
    assert solved(*task.test) == 1


def test_copying_and_induction_are_the_same_rules_at_other_sizes():
    def seeded():
        return torch.Generator().manual_seed(3)

    for long, short, sizes in (
        (copying_long, copying, {"noise": 240, "items": 16, "vocabulary": 16}),
        (induction_long, induction, {"length": 256, "vocabulary": 16}),
    ):
        one, two = long(seeded(), tested=30), short(seeded(), **sizes, tested=30)
        assert all(torch.equal(a, b) for a, b in zip((*one.test, *one.valid), (*two.test, *two.valid), strict=True))
        assert (one.name, one.length) == (long.__name__, 256)
