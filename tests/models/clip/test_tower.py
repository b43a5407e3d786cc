"""A tower taken apart and put together again is the tower."""

import pytest
import torch
from torch import nn
from torch.testing import assert_close
from towers import KINDS, images, tower

from lib.models.clip.tower import Tower, attend, class_row, heads

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
    with pytest.raises(TypeError, match=r"Linear is none that is known: a vision tower of transformers"):
        Tower.of(nn.Linear(1, 1))


def first_layer():
    """The attention of a tower's first layer, and what it gets."""
    model = tower()
    layer = model.encoder.layers[0]
    return layer.self_attn, layer.layer_norm1(Tower.of(model).embed(images()))


def test_a_class_row_is_that_of_the_eager_attention():
    attention, x = first_layer()
    _, query, key = attend(attention, x)
    logits = (heads(attention, attention.q_proj(x)) @ heads(attention, attention.k_proj(x)).mT) * attention.scale
    wanted = logits.softmax(-1)[:, :, 0].mean(1)
    assert_close(class_row(attention, query, key).double(), wanted, rtol=1e-5, atol=1e-6)


def test_a_token_of_two_patches_weighs_as_two_equal_tokens():
    attention, x = first_layer()
    twice = torch.cat([x, x[:, 5:6]], dim=1)
    sizes = torch.ones(x.shape[:2], dtype=x.dtype).index_fill(1, torch.tensor([5]), 2.0)
    wanted, query, key = attend(attention, twice)
    rows = class_row(attention, query, key)
    found, query, key = attend(attention, x, sizes)
    assert_close(found, wanted[:, :17])
    row = class_row(attention, query, key, sizes)
    assert_close(row[:, 5], rows[:, 5] + rows[:, -1])
    assert_close(row[:, :5], rows[:, :5])


def test_with_one_patch_each_it_is_the_attention_itself_to_the_last_bit():
    attention, x = first_layer()
    assert torch.equal(attend(attention, x)[0], attention(x)[0])


def test_only_the_first_ask_if_so_wished():
    attention, x = first_layer()
    assert_close(attend(attention, x, queries=1)[0], attention(x)[0][:, :1])
