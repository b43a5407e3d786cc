"""Schedules of merging inside a tower: where tokens go, with and without a last layer that takes none."""

import pytest
import torch
from towers import images, tower

from lib.models.clip.merge_schedules import SCHEDULES
from lib.models.clip.reduction import reduce_tokens


@pytest.mark.parametrize("schedule", [*SCHEDULES, [3, 0, 5]])
def test_where_the_last_layer_computes_one_row_the_others_merge_for_it(schedule):
    if isinstance(schedule, list):
        with pytest.raises(ValueError, match="2 numbers of at least 0 are needed"):
            reduce_tokens(tower(), "merge", schedule=schedule, class_row_only=True)
        schedule = schedule[:2]
    _, tokens = reduce_tokens(tower(), "merge", 0.5, schedule=schedule, class_row_only=True).traced(images())
    assert tokens.places.max() == (13 if isinstance(schedule, list) else 8)


@pytest.mark.parametrize("method", ["merge", "merge_in_rounds"])
def test_numbers_are_the_schedule_at_any_share(method):
    schedule = [4, 0, 1] if method == "merge" else [4, 0, 1, 2]
    _, tokens = reduce_tokens(tower(), method, 1.0, schedule=schedule).traced(images())
    assert tokens.count == 16 - sum(schedule)


def test_half_of_what_goes_has_merged_when_the_class_token_chooses():
    reduced = reduce_tokens(tower(), "merge_then_prune", 0.5)
    assert reduced.layer == 1
    assert [(cut.count, cut.merging) for cut in reduced.planned(16)] == [(0, False), (4, True), (4, False), (0, False)]
    late = reduce_tokens(tower(), "merge_then_prune", 0.5, layer=2)
    assert [cut.count for cut in late.planned(16)] == [0, 4, 0, 4]


@pytest.mark.parametrize("keep", [1.0, 0.9, 0.5])
def test_numbers_that_merge_more_than_the_share_leave_nothing_to_choose(keep):
    reduced = reduce_tokens(tower(), "merge_then_prune", keep, schedule=[8])
    output, tokens = reduced.traced(images())
    assert tokens.count == 8
    assert output.pooler_output.isfinite().all()
    assert reduced.seen(16) == [(17, 9), (9, 9), (9, 9)]


def test_where_the_class_token_chooses_first_nothing_merges():
    options = {"keep": 0.5, "layer": 0}
    early, alone = (reduce_tokens(tower(), method, **options) for method in ("merge_then_prune", "class_attention"))
    assert torch.equal(early(images()).pooler_output, alone(images()).pooler_output)
