"""Images in buckets of equal length: each gets what it gets alone, and no bucket is longer than a tile more."""

import pytest
import torch
from precision import assert_within
from refusals import refused
from towers import images, tower

from lib.models.clip.buckets import buckets, in_buckets
from lib.models.clip.reduction import reduce_tokens
from lib.models.clip.tokens import Tokens


def filled(counts, width):
    """Tokens of images that keep these numbers, filled up to one width."""
    sizes = (torch.arange(width) < torch.tensor(counts).unsqueeze(1)).double()
    x = torch.arange(float(len(counts) * width)).view(len(counts), width, 1).double()
    return Tokens(x, sizes, None, classes=1, single=False)


def test_buckets_by_hand():
    tokens = filled([5, 3, 8, 4, 9], width=9)
    found = [(rows.tolist(), part.x.shape[1], part.single) for part, rows in buckets(tokens, 4)]
    assert found == [([1, 3], 4, False), ([0, 2], 8, False), ([4], 9, True)]
    found = [(rows.tolist(), part.x.shape[1], part.single) for part, rows in buckets(tokens, 1)]
    assert found == [([1], 3, True), ([3], 4, True), ([0], 5, True), ([2], 8, True), ([4], 9, True)]
    for part, rows in buckets(tokens, 4):
        assert torch.equal(part.x, tokens.x[rows, : part.x.shape[1]])
        assert torch.equal(part.sizes.sum(1), tokens.sizes[rows].sum(1))


@pytest.mark.parametrize("tile", [1, 4, 64])
@pytest.mark.parametrize("alone", [False, True])
@torch.no_grad()
def test_a_batch_in_buckets_is_image_by_image(tile, alone):
    x = images(8)
    reduced = in_buckets(tower(), 0.6, class_row_only=alone, tile=tile)
    filled = reduce_tokens(tower(), "adaptive", 0.6, class_row_only=alone)
    found, wanted = reduced(x), filled(x)
    assert_within(found.pooler_output, wanted.pooler_output, 1e-12)
    counts = (filled.traced(x)[1].sizes > 0).sum(1).tolist()
    assert len(set(counts)) > 1
    for number, count in enumerate(counts):
        one = filled(x[number : number + 1])
        assert_within(found.pooler_output[number : number + 1], one.pooler_output, 1e-12)
        if not alone:
            assert_within(found.last_hidden_state[number, :count], one.last_hidden_state[0], 1e-12)


@torch.no_grad()
def test_layers_after_the_choice_see_no_padding_of_other_images():
    x, seen = images(8), []
    model = tower()
    reduced = in_buckets(model, 0.6, layer=0, tile=1)
    model.encoder.layers[1].mlp.register_forward_pre_hook(lambda _, given: seen.append(tuple(given[0].shape[:2])))
    reduced(x)
    counts = (reduce_tokens(tower(), "adaptive", 0.6, layer=0).traced(x)[1].sizes > 0).sum(1)
    assert sum(batch * length for batch, length in seen) == counts.sum()


@torch.no_grad()
def test_with_all_tokens_it_is_the_model_to_the_last_bit():
    x = images()
    assert torch.equal(in_buckets(tower(), 1.0)(x).last_hidden_state, tower()(x).last_hidden_state)
    assert torch.equal(in_buckets(tower(), 1.0)(x).pooler_output, tower()(x).pooler_output)


def test_gradients_go_through_the_buckets():
    x = images(4)
    found, wanted = x.clone().requires_grad_(), x.clone().requires_grad_()
    in_buckets(tower(), 0.6, tile=4)(found).pooler_output.square().sum().backward()
    reduce_tokens(tower(), "adaptive", 0.6)(wanted).pooler_output.square().sum().backward()
    assert_within(found.grad, wanted.grad, 1e-10)


@torch.no_grad()
def test_hidden_states_are_those_of_adaptive():
    x = images(4)
    found = in_buckets(tower(), 0.6)(x, output_hidden_states=True)
    wanted = reduce_tokens(tower(), "adaptive", 0.6, tile=8)(x, output_hidden_states=True)
    for one, other in zip(found.hidden_states, wanted.hidden_states, strict=True):
        assert torch.equal(one, other)


def test_what_cannot_be_is_refused():
    with refused("tile = 0: an integer of at least 1 is needed"):
        in_buckets(tower(), 0.5, tile=0)
    with refused("method = 'in_buckets': SiglipVisionModel has no class token"):
        in_buckets(tower("siglip"), 0.5)
