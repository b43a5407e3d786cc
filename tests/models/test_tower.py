"""A tower taken apart and put together again is the tower."""

import pytest
import torch
from torch import nn
from torch.testing import assert_close
from towers import KINDS, images, tower

from lib.models.tower import Tower, class_row

every_kind = pytest.mark.parametrize("kind", KINDS)


def run(model, x, interpolate=False):
    parts = Tower.of(model)
    tokens = parts.embed(x, interpolate)
    for layer in parts.layers:
        tokens = layer(tokens, None)
    return parts.finish(tokens)


@every_kind
@pytest.mark.parametrize("side", [32, 48])
def test_the_parts_give_what_the_whole_gives_to_the_last_bit(kind, side):
    model, x = tower(kind), images(side=side)
    found, wanted = run(model, x, side != 32), model(x, interpolate_pos_encoding=side != 32)
    assert torch.equal(found.last_hidden_state, wanted.last_hidden_state)
    assert torch.equal(found.pooler_output, wanted.pooler_output)
    assert type(found) is type(wanted)


def test_only_a_clip_has_a_class_token():
    assert [Tower.of(tower(kind)).classes for kind in KINDS] == [1, 0]


def test_a_model_of_other_parts_is_named_with_what_it_lacks():
    with pytest.raises(TypeError, match=r"Linear has no embeddings.patch_embedding: a vision tower as of CLIP or"):
        Tower.of(nn.Linear(1, 1))


def test_a_class_row_is_that_of_the_eager_attention():
    model = tower()
    model.set_attn_implementation("eager")
    layer, x = model.encoder.layers[0], Tower.of(model).embed(images())
    normed = layer.layer_norm1(x)
    _, weights = layer.self_attn(normed)
    assert_close(class_row(layer.self_attn, normed).double(), weights[:, :, 0].mean(1), rtol=1e-5, atol=1e-6)


def test_a_token_of_two_patches_is_attended_to_as_two_equal_tokens():
    layer, x = tower().encoder.layers[0], Tower.of(tower()).embed(images())
    normed = layer.layer_norm1(x)
    twice = torch.cat([normed, normed[:, 5:6]], dim=1)
    wanted = class_row(layer.self_attn, twice)
    sizes = torch.ones(normed.shape[:2]).index_fill(1, torch.tensor([5]), 2.0)
    found = class_row(layer.self_attn, normed, sizes)
    assert_close(found[:, 5], wanted[:, 5] + wanted[:, -1])
    assert_close(found[:, :5], wanted[:, :5])
