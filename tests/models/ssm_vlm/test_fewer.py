"""Every way to go on with fewer patches keeps the scan's order; segments against all cuts that there are."""

from itertools import combinations

import pytest
import torch
from torch.nn.functional import cosine_similarity
from torch.testing import assert_close

from lib import names
from lib.models.ssm_vlm.fewer.base import DROPPED, Seen, joined
from lib.models.ssm_vlm.reduced import FEWER

PATCHES = 9
every = pytest.mark.parametrize("method", names.SCAN_REDUCTIONS)


def seen(batch=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(batch, PATCHES, 4, generator=generator).double()
    steps = torch.rand(batch, PATCHES, generator=generator).double()
    return Seen(x, lambda: steps, generator)


@every
@pytest.mark.parametrize("count", [5, 7, 8])
def test_groups_keep_the_order_and_are_all_there(method, count):
    for row in FEWER[method](seen(), count).tolist():
        kept = [group for group in row if group != DROPPED]
        assert kept == sorted(kept)
        assert {*kept} == {*range(count)}


@pytest.mark.parametrize("method", ["random", "norm", "steps"])
def test_what_is_dropped_joins_nothing(method):
    for row in FEWER[method](seen(), 4).tolist():
        assert [group for group in row if group != DROPPED] == [0, 1, 2, 3]


@pytest.mark.parametrize(("method", "score"), [("norm", lambda x, _: x.norm(dim=-1)), ("steps", lambda _, made: made)])
def test_the_highest_scores_stay(method, score):
    given = seen()
    expected = score(given.x, given.steps()).argsort(dim=1, descending=True)[:, :4].sort(dim=1).values
    found = (FEWER[method](given, 4) != DROPPED).nonzero()[:, 1].view(-1, 4)
    assert torch.equal(found, expected)


@pytest.mark.parametrize("count", [1, 2, 4, 8, 9])
def test_segments_hold_the_most_similarity_of_all_cuts(count):
    given = seen()
    for x, row in zip(given.x, FEWER["segments"](given, count).tolist(), strict=True):

        def inside(groups, x=x):
            near = [place for place in range(PATCHES - 1) if groups[place] == groups[place + 1]]
            return sum(float(cosine_similarity(x[place], x[place + 1], dim=0)) for place in near)

        cuts = combinations(range(1, PATCHES), count - 1)
        every = [[sum(place >= cut for cut in chosen) for place in range(PATCHES)] for chosen in cuts]
        assert inside(row) == pytest.approx(max(inside(groups) for groups in every), abs=1e-9)


def test_pairs_are_disjoint_neighbours_that_are_most_alike():
    given = seen()
    for x, row in zip(given.x, FEWER["pairs"](given, 7).tolist(), strict=True):
        near = {place: float(cosine_similarity(x[place], x[place + 1], dim=0)) for place in range(0, PATCHES - 1, 2)}
        merged = {place for place in near if row[place] == row[place + 1]}
        assert merged == {*sorted(near, key=near.get)[-2:]}
        assert len({*row}) == 7


def test_pairs_leave_half():
    with pytest.raises(ValueError, match="4 of 9 patches: pairs leave half"):
        FEWER["pairs"](seen(), 4)


@every
def test_a_group_is_the_mean_of_its_patches_by_their_sizes(method):
    given = seen()
    sizes = torch.randint(1, 4, given.x.shape[:2], generator=given.generator).double()
    groups = FEWER[method](given, 6)
    found, total = joined(given.x, sizes, groups, 6)
    for image in range(len(given.x)):
        for group in range(6):
            inside = groups[image] == group
            weights = sizes[image, inside]
            assert total[image, group] == weights.sum()
            assert_close(found[image, group], (given.x[image, inside] * weights[:, None]).sum(0) / weights.sum())


def test_a_lot_is_one_for_all_images():
    groups = FEWER["random"](seen(), 4)
    assert (groups == groups[0]).all()
