"""Token reduction: with all tokens it is the model itself, and every patch is accounted for."""

import pytest
import torch
from torch.testing import assert_close
from towers import KINDS, images, tower

from lib.models.reduce import CLASS, METHODS, reduce_tokens
from lib.models.tokens import GONE

every_method = pytest.mark.parametrize("method", METHODS)
SEEN = [(kind, method) for kind in KINDS for method in METHODS if kind == "clip" or method not in CLASS]


@pytest.mark.parametrize(("kind", "method"), SEEN)
@pytest.mark.parametrize("side", [32, 48])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_with_all_tokens_it_is_the_model_to_the_last_bit(kind, method, side, dtype):
    model, x = tower(kind, dtype=dtype), images(side=side, dtype=dtype)
    options = {"interpolate_pos_encoding": side != 32}
    found, wanted = reduce_tokens(model, method, 1.0)(x, **options), model(x, **options)
    assert torch.equal(found.last_hidden_state, wanted.last_hidden_state)
    assert torch.equal(found.pooler_output, wanted.pooler_output)
    assert type(found) is type(wanted)


@pytest.mark.parametrize(("kind", "method"), SEEN)
@pytest.mark.parametrize("keep", [0.75, 0.5])
def test_a_share_is_left_and_every_patch_is_held_or_gone(kind, method, keep):
    model = tower(kind)
    found, places = reduce_tokens(model, method, keep).traced(images())
    classes = int(kind == "clip")
    left = found.last_hidden_state.shape[1] - classes
    assert left == round(16 * keep)
    for row in places:
        held = row[row != GONE]
        assert sorted(set(held.tolist())) == list(range(classes, left + classes))
        assert len(held) == (16 if method == "merge" else len(held))
    assert found.last_hidden_state.isfinite().all()


@every_method
def test_neighbours_in_a_batch_do_not_matter(method):
    reduced, x = reduce_tokens(tower(), method, 0.5), images(4)
    together = reduced(x).pooler_output
    for number in range(4):
        assert_close(reduced(x[number : number + 1]).pooler_output, together[number : number + 1])


@pytest.mark.parametrize(
    ("method", "keep", "schedules"),
    [
        *[(method, keep, ("front", "front")) for method in METHODS for keep in (1.0, 0.5) if method != "merge"],
        ("merge", 1.0, ([4, 4, 0], [4, 4])),
    ],
)
def test_the_class_token_alone_is_enough_for_the_last_layer(method, keep, schedules):
    whole, short = (
        reduce_tokens(tower(), method, keep, schedule=schedule, class_row_only=alone)(images())
        for alone, schedule in zip((False, True), schedules, strict=True)
    )
    assert_close(short.pooler_output, whole.pooler_output)
    assert_close(short.last_hidden_state, whole.last_hidden_state[:, :1])


@pytest.mark.parametrize("schedule", ["constant", "front", [3, 0, 5]])
def test_where_the_last_layer_computes_one_row_the_others_merge_for_it(schedule):
    if isinstance(schedule, list):
        with pytest.raises(ValueError, match="2 numbers of at least 0 are needed"):
            reduce_tokens(tower(), "merge", schedule=schedule, class_row_only=True)
        schedule = schedule[:2]
    _, places = reduce_tokens(tower(), "merge", 0.5, schedule=schedule, class_row_only=True).traced(images())
    assert places.max() == (13 if isinstance(schedule, list) else 8)


def test_the_class_token_chooses_those_it_attends_to_most():
    model, x = tower(), images()
    model.set_attn_implementation("eager")
    weights = model(x, output_attentions=True).attentions[1][:, :, 0, 1:].mean(1)
    _, places = reduce_tokens(tower(), "class_attention", 0.25).traced(x)
    for row, weight in zip(places, weights, strict=True):
        assert set((row != GONE).nonzero().squeeze(1).tolist()) == set(weight.topk(4).indices.tolist())


def test_norm_keeps_the_longest_and_random_what_its_seed_says():
    model, x = tower(), images()
    longest = model.pre_layrnorm(model.embeddings(x))[:, 1:].norm(dim=-1)
    _, places = reduce_tokens(model, "norm", 0.5).traced(x)
    for row, length in zip(places, longest, strict=True):
        assert set((row != GONE).nonzero().squeeze(1).tolist()) == set(length.topk(8).indices.tolist())
    first, again, other = (reduce_tokens(model, "random", 0.5, seed=seed).traced(x)[1] for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "l2"}, "method = 'l2': one of norm, random"),
        ({"method": "norm", "keep": 0.0}, "keep = 0.0: more than 0"),
        ({"method": "merge", "keep": 1.5}, "keep = 1.5: more than 0"),
        ({"method": "merge", "schedule": "linear"}, "schedule = 'linear': one of"),
        (
            {"method": "merge", "keep": 0.1, "schedule": "constant"},
            "schedule = 'constant': layer 2 has 7 tokens and cannot merge 5",
        ),
        ({"method": "class_attention", "layer": 3}, "layer = 3: 0 to 2 is needed"),
    ],
)
def test_what_cannot_be_is_said_when_it_is_made(options, message):
    with pytest.raises(ValueError, match=message):
        reduce_tokens(tower(), **options)


def test_a_tower_without_a_class_token_says_so():
    for options in ({"method": "class_attention"}, {"method": "norm", "class_row_only": True}):
        with pytest.raises(ValueError, match="SiglipVisionModel has no class token"):
            reduce_tokens(tower("siglip"), **options)
