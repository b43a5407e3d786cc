"""Plans of cuts: tokens that fill whole tiles, counted by hand."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from reductions import FIXED
from refusals import refused
from towers import images, tower

from lib.models.clip.merge_schedules import merges
from lib.models.clip.plan import Around, Cut
from lib.models.clip.reduction import reduce_tokens


def counts(plan):
    return [cut.count for cut in plan]


def test_tokens_after_a_cut_fill_whole_tiles_by_hand():
    plan = [Cut(10), Cut(10), Cut(10), Cut()]  # of 64 patches: 55, 45, 35 with the class token
    assert counts(Around(classes=1).tiled(64, plan, 8)) == [9, 8, 8, 0]  # 65 tokens, then 56, 48, 40
    assert counts(Around(classes=1).tiled(64, plan, 16)) == [1, 16, 0, 0]  # 64, 48, 48
    assert counts(Around(classes=0).tiled(64, plan, 16)) == [0, 16, 0, 0]  # 64, 48, 48
    assert counts(Around(classes=1).tiled(64, plan, 1)) == counts(plan)


def test_a_summary_takes_one_row_of_a_tile_and_never_comes_for_nothing():
    around = Around(classes=1, summary=True)
    assert counts(around.tiled(16, [Cut(9)], 4)) == [6]  # 16 - 9 + 1 + 1 = 9 tokens, 12 in tiles
    assert around.left(16, Cut(6)) + 1 == 12
    assert counts(around.tiled(16, [Cut(2)], 16)) == [2]  # 16 in one tile
    assert counts(around.tiled(15, [Cut(2)], 16)) == [0]  # which 15 patches and a class token fill already


def test_no_more_than_half_merge_at_once_unless_the_plan_says_so():
    half = [Cut(8, merging=True), Cut(8, merging=True)]  # 24, then 16 tokens: one tile
    assert counts(Around(classes=1).tiled(31, half, 16)) == [0, 15]
    assert counts(Around(classes=1).tiled(31, [Cut(8), Cut(8)], 16)) == [0, 16]
    assert counts(Around(classes=1).tiled(31, [Cut(16, merging=True)], 16)) == [16]  # in rounds there may be more


@given(
    patches=st.integers(2, 300),
    tile=st.sampled_from([1, 4, 8, 16, 64]),
    keep=st.floats(0.3, 1.0),
    classes=st.integers(0, 1),
    summary=st.booleans(),
)
def test_never_fewer_tokens_remain_than_planned_and_less_than_a_tile_more(patches, tile, keep, classes, summary):
    try:
        numbers = merges("decreasing", patches, 4, keep)
    except ValueError:
        return
    around = Around(classes, summary)
    plan = [Cut(number) for number in numbers]
    wanted = actual = patches
    for cut, tiled in zip(plan, around.tiled(patches, plan, tile), strict=True):
        wanted, actual = around.left(wanted, cut), around.left(actual, tiled)
        assert wanted <= actual or tiled.count == 0
        if tiled.count:
            assert (actual + classes) % tile == 0
        if cut.count:
            assert actual - wanted < tile + summary * len(plan)


@pytest.mark.parametrize("method", FIXED)
@torch.no_grad()
def test_layers_see_whole_tiles_after_the_first_cut(method):
    reduced, x = reduce_tokens(tower(), method, 0.5, tile=4), images()
    output = reduced(x)
    assert output.last_hidden_state.shape[1] == 12  # 8 patches and the class token
    seen = [count for _, count in reduced.seen(16)]
    assert seen[-1] == 12
    assert all(count % 4 == 0 for count in seen if count < 17)
    assert torch.equal(reduce_tokens(tower(), method, 1.0, tile=4)(x).pooler_output, tower()(x).pooler_output)


def test_of_a_number_per_image_the_batch_fills_tiles():
    x = images(6)
    found, plain = (reduce_tokens(tower(), "adaptive", 0.6, tile=tile).traced(x)[1] for tile in (4, 1))
    assert found.x.shape[1] == -(-plain.x.shape[1] // 4) * 4
    assert torch.equal(found.sizes.sum(1), plain.sizes.sum(1))


def test_a_tile_is_a_positive_number():
    for value in (0, -8, 2.0):
        with refused(f"tile = {value}: an integer of at least 1 is needed"):
            reduce_tokens(tower(), "norm", 0.5, tile=value)
    with refused("tile: method = 'original' knows keep alone"):
        reduce_tokens(tower(), "original", 0.5, tile=8)
