"""Schedules: what is planned adds up, and tokens never run out without a word."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.models.clip.merge_schedules import SCHEDULES, kept, merges, rounds


@given(
    name=st.sampled_from(sorted(SCHEDULES)),
    patches=st.integers(1, 800),
    layers=st.integers(1, 24),
    keep=st.floats(0.55, 1.0),
)
def test_a_schedule_leaves_what_it_should(name, patches, layers, keep):
    try:
        planned = merges(name, patches, layers, keep)
    except ValueError:
        gone = patches - kept(keep, patches)
        assert max(SCHEDULES[name](layers)) / sum(SCHEDULES[name](layers)) * gone > patches / 2 - layers
        return
    assert len(planned) == layers
    assert min(planned) >= 0
    assert sum(planned) == patches - kept(keep, patches)


def test_schedules_are_those_of_their_names():
    assert merges("constant", 196, 12, 0.51) == [8] * 12
    falling = merges("decreasing", 196, 12, 0.5)
    assert falling[0] == 16
    assert falling[-1] == 0
    assert falling == sorted(falling, reverse=True)
    assert merges("front", 64, 4, 0.375) == [21, 11, 5, 3]


def test_a_share_is_of_the_patches():
    assert [kept(keep, 196) for keep in (1.0, 0.5, 0.3, 0.001)] == [196, 98, 59, 1]


@pytest.mark.parametrize("keep", [0.0, -0.1, 1.1, float("nan")])
def test_a_share_out_of_range_is_quoted(keep):
    with pytest.raises(ValueError, match=r"keep = .*more than 0 and at most 1,? is needed"):
        kept(keep, 196)


@pytest.mark.parametrize(
    ("schedule", "message"),
    [
        ("linear", "schedule = 'linear': one of constant, decreasing, front, or numbers, is needed"),
        ([1, 2], r"schedule = \[1, 2\]: 3 numbers of at least 0 are needed, one per point"),
        ([1, -2, 0], r"schedule = \[1, -2, 0\]: 3 numbers of at least 0"),
        ([8, 5, 0], r"schedule = \[8, 5, 0\]: 8 tokens remain when 5 are to merge at point 1; at most 4 can at once"),
    ],
)
def test_a_schedule_that_cannot_be_is_quoted(schedule, message):
    with pytest.raises(ValueError, match=message):
        merges(schedule, 16, 3)


@pytest.mark.parametrize(
    ("count", "tokens", "wanted"),
    [(0, 64, []), (8, 64, [8]), (9, 64, [5, 4]), (17, 64, [6, 6, 5]), (40, 64, [14, 13, 13])],
)
def test_rounds_are_one_for_every_eighth_and_at_most_three(count, tokens, wanted):
    assert rounds(count, tokens) == wanted
