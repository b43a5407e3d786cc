"""The steps that a diagram shows: every patch in one token, and what one matching cannot do."""

from lib.experiments import clip_steps


def test_both_ways_merge_as_many_patches():
    for steps in (clip_steps.at_once(), clip_steps.in_rounds()):
        assert steps[0] == list(range(16))
        assert [len(step) for step in steps] == [16] * len(steps)
        assert len(set(steps[-1])) == 16 - clip_steps.COUNT


def test_what_has_merged_stays_together():
    for before, after in zip(clip_steps.in_rounds(), clip_steps.in_rounds()[1:], strict=False):
        for token in set(before):
            assert len({after[patch] for patch, held in enumerate(before) if held == token}) == 1


def test_one_matching_mixes_what_rounds_keep_apart():
    assert clip_steps.mixed(clip_steps.at_once()[-1]) == 2
    assert [clip_steps.mixed(step) for step in clip_steps.in_rounds()] == [0, 0, 0, 0]


def test_a_token_of_different_things_is_counted_once():
    assert clip_steps.mixed([0] * 16) == 1
