"""Merging against brute force over all pairs, and patches counted as they go."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from precision import UNIT
from torch.testing import assert_close

from lib.models.clip.merge import match, merged, merged_in_rounds
from lib.models.clip.merge_schedules import rounds
from lib.models.clip.tokens import Tokens


def normal(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def brute_force(metric, count, classes):
    """Cosines of one image's pairs, one by one: every even token's best odd one, then the best of these pairs."""
    tokens = range(classes, len(metric))
    even, odd = [t for t in tokens if (t - classes) % 2 == 0], [t for t in tokens if (t - classes) % 2]
    return sorted((max(cosine(metric, source, target) for target in odd) for source in even), reverse=True)[:count]


def cosine(metric, source, target):
    return torch.cosine_similarity(metric[source], metric[target], dim=0).item()


@pytest.mark.parametrize("classes", [0, 1])
@settings(deadline=None, max_examples=30)
@given(patches=st.integers(2, 17), seed=st.integers(0, 999), data=st.data())
def test_pairs_are_those_of_brute_force(classes, patches, seed, data):
    metric = normal(2, classes + patches, 6, seed=seed)
    count = data.draw(st.integers(0, patches // 2))
    sources, targets = match(metric, count, classes)
    for image in range(2):
        pairs = list(zip(sources[image].tolist(), targets[image].tolist(), strict=True))
        assert all((source - classes) % 2 == 0 and (target - classes) % 2 for source, target in pairs)
        assert len({source for source, _ in pairs}) == count
        # Compared in single precision, two pairs may be equally good: a sum of six products is off by so much.
        found = [cosine(metric[image], *pair) for pair in pairs]
        assert found == pytest.approx(brute_force(metric[image], count, classes), abs=20 * UNIT)


def test_more_pairs_than_there_are_is_refused():
    with pytest.raises(ValueError, match="count = 3: an integer from 0 to 2 is needed: at most half of 5 tokens"):
        match(normal(1, 6, 4), 3, 1)


def test_a_merged_token_is_the_mean_of_its_patches():
    x = normal(2, 8, 4)
    tokens = Tokens.of(x, 1)
    tokens = merged(tokens, torch.tensor([[1, 3], [5, 7]]), torch.tensor([[2, 2], [4, 2]]))
    assert_close(tokens.x[0, 1], x[0, 1:4].mean(0))
    assert_close(tokens.x[1, 4], x[1, 4:6].mean(0))
    assert tokens.sizes.tolist() == [[1, 3, 1, 1, 1, 1], [1, 1, 2, 1, 2, 1]]
    assert tokens.places.tolist() == [[1, 1, 1, 2, 3, 4, 5], [1, 2, 3, 4, 4, 5, 2]]
    again = merged(tokens, *match(tokens.x, 2, 1))
    assert (again.sizes[:, 1:].sum(1) == 7).all()
    for image in range(2):
        for place in range(1, again.x.shape[1]):
            own = x[image, 1:][again.places[image] == place]
            assert_close(again.x[image, place], own.mean(0))
            assert len(own) == again.sizes[image, place]


def test_nothing_merged_is_nothing_changed():
    tokens = Tokens.of(normal(2, 8, 4), 1)
    none = torch.empty(2, 0, dtype=torch.long)
    assert torch.equal(merged(tokens, none, none).x, tokens.x)


def test_of_equal_pairs_the_smaller_tokens_merge_first():
    metric = torch.tensor([[[1.0, 0.0], [0.9, 0.1], [0.0, 1.0], [0.1, 0.9]]])
    for sizes, wanted in (([4.0, 4.0, 1.0, 1.0], (2, 3)), ([1.0, 1.0, 4.0, 4.0], (0, 1))):
        sources, targets = match(metric, 1, 0, torch.tensor([sizes]))
        assert (sources.item(), targets.item()) == wanted


@settings(deadline=None, max_examples=20)
@given(patches=st.integers(4, 20), seed=st.integers(0, 999), data=st.data())
def test_merging_in_rounds_leaves_as_many_and_loses_no_patch(patches, seed, data):
    x = normal(2, 1 + patches, 4, seed=seed)
    count = data.draw(st.integers(0, patches // 2))
    tokens = merged_in_rounds(Tokens.of(x, 1), count)
    assert tokens.count == patches - count
    assert (tokens.sizes[:, 1:].sum(1) == patches).all()
    assert torch.equal(tokens.x[:, 0], x[:, 0])
    for image in range(2):
        for place in range(1, tokens.x.shape[1]):
            assert_close(tokens.x[image, place], x[image, 1:][tokens.places[image] == place].mean(0))


def test_rounds_make_one_of_four_of_a_kind_where_one_matching_cannot():
    x = torch.cat([torch.eye(5)[[0]].expand(4, -1), torch.eye(5)[1:]]).unsqueeze(0)
    tokens = Tokens.of(x, 0)
    once, often = merged(tokens, *match(x, 3, 0)), merged_in_rounds(tokens, 3)
    for found, alike in ((once, False), (often, True)):
        assert (found.places[0, :4] == found.places[0, 0]).all() == alike


def obvious(x, count):
    """Merging of one image in rounds, pair by pair: features, and the patches of each token."""
    held = [[number] for number in range(len(x))]
    x = list(x)
    for cut in rounds(count, len(x)):
        found = []
        for even in range(0, len(x), 2):
            distances = []
            for odd in range(1, len(x), 2):
                n, m = len(held[even]), len(held[odd])
                apart = 1 - torch.cosine_similarity(x[even], x[odd], dim=0).item()
                distances.append((math.sqrt(n * m / (n + m)) * apart, even, odd))
            found.append(min(distances))
        pairs = sorted(found)[:cut]
        groups = {number: [number] for number in range(len(x))}
        for _, even, odd in pairs:
            groups[odd].append(even)
            del groups[even]
        before, sizes = x, [len(one) for one in held]
        x = [sum(sizes[i] * before[i] for i in group) / sum(sizes[i] for i in group) for group in groups.values()]
        held = [sorted(patch for i in group for patch in held[i]) for group in groups.values()]
    return torch.stack(x), held


@pytest.mark.parametrize("count", [1, 2, 5, 12])
@pytest.mark.parametrize("seed", range(3))
def test_rounds_are_those_of_the_obvious_loop(count, seed):
    x = normal(2, 16, 5, seed=seed)
    tokens = merged_in_rounds(Tokens.of(x, 0), count)
    for image in range(2):
        wanted, held = obvious(x[image], count)
        assert_close(tokens.x[image], wanted)
        for place, patches in enumerate(held):
            assert (tokens.places[image] == place).nonzero().flatten().tolist() == patches
