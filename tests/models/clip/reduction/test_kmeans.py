"""Merging by K-means: the groups of scikit-learn's, a mean for each, every patch in its place."""

import numpy as np
import pytest
import torch
from precision import assert_within
from sklearn.cluster import KMeans
from towers import images, of_equal_patches, tower

from lib.models.clip.reduction import reduce_tokens
from lib.models.clip.reduction.kmeans import ITERATIONS, grouped


@pytest.mark.parametrize("groups", [1, 3, 7, 16])
def test_groups_are_those_of_another_implementation(groups):
    x = torch.randn(4, 16, 5, generator=torch.Generator().manual_seed(groups), dtype=torch.float64)
    start = np.linspace(0, 15, groups).round().astype(int)
    for one, found in zip(x.numpy(), grouped(x, groups), strict=True):
        peer = KMeans(groups, init=one[start], n_init=1, max_iter=ITERATIONS, tol=0, algorithm="lloyd").fit(one)
        assert found.tolist() == peer.predict(one).tolist()


@torch.no_grad()
def test_a_token_is_the_mean_of_its_patches():
    x, model = images(3), tower()
    reduced = reduce_tokens(model, "kmeans", 0.5)
    seen = []
    hook = model.encoder.layers[1].layer_norm2.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    model(x)
    hook.remove()
    _, tokens = reduced.traced(x)
    norms = []
    hook = model.encoder.layers[1].layer_norm2.register_forward_pre_hook(lambda _, given: norms.append(given[0]))
    reduced(x)
    hook.remove()
    (whole,), (few,) = seen, norms
    assert few.shape[1] == 1 + 8
    for image in range(3):
        assert_within(few[image, 0], whole[image, 0], 1e-12)
        for token in range(1, 9):
            members = whole[image, 1:][tokens.places[image] == token]
            assert tokens.sizes[image, token] == len(members)
            if len(members):
                assert_within(few[image, token], members.mean(0), 1e-12)
    assert (tokens.sizes[:, 1:].sum(1) == 16).all()


@torch.no_grad()
def test_equal_patches_lose_nothing():
    model, x = of_equal_patches(times=2)
    reduced = reduce_tokens(model, "kmeans", 0.5)
    assert_within(reduced(x).pooler_output, model(x).pooler_output, 1e-9)


@torch.no_grad()
def test_a_group_that_loses_its_patches_is_attended_by_nothing():
    """Two centres in one place: the first takes all patches."""
    x = torch.zeros(1, 4, 2, dtype=torch.float64)
    assert grouped(x, 2).tolist() == [[0, 0, 0, 0]]
    model = tower()
    flat = torch.zeros(1, 3, 32, 32, dtype=torch.float64)
    model.embeddings.position_embedding.weight.zero_()
    assert reduce_tokens(model, "kmeans", 0.5)(flat).pooler_output.isfinite().all()
