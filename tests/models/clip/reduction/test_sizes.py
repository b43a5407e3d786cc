"""Whoever reads tokens after a merger knows how many patches each of them holds: equal patches may merge unnoticed."""

import copy
import itertools

import pytest
import torch
import transformers
from precision import assert_within
from refusals import refused
from towers import KINDS, SIZES, images, of_equal_patches, tower

from lib.models.clip.merge import match, merged
from lib.models.clip.reduction import reduce_tokens
from lib.models.clip.tokens import Tokens

# What rounding to a type is off by, relative to a number. Through three layers some hundred of them add up.
UNITS = {torch.float64: 2.0**-53, torch.float32: 2.0**-24, torch.float16: 2.0**-11, torch.bfloat16: 2.0**-8}
ROUNDINGS = 100
WAYS = [
    ("merge", [8, 0, 0]),
    ("merge", [8, 4, 0]),
    ("merge_in_rounds", [8, 0, 0, 0]),
    ("merge_in_rounds", [0, 8, 0, 0]),
]


@pytest.mark.parametrize("dtype", UNITS)
@pytest.mark.parametrize(("method", "schedule"), WAYS)
@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_equal_patches_merge_and_nothing_changes(kind, method, schedule, dtype):
    model, x = of_equal_patches(kind, 4 if 4 in schedule else 2)
    exact, model = model(x), copy.deepcopy(model).to(dtype)
    found, plain = reduce_tokens(model, method, schedule=schedule, dense=True)(x.to(dtype)), model(x.to(dtype))
    for name in ("pooler_output", "last_hidden_state"):
        error, usual = ((one[name] - exact[name]).norm() / exact[name].norm() for one in (found, plain))
        assert error < ROUNDINGS * UNITS[dtype]
        assert error < 4 * usual or dtype in (torch.float64, torch.float32)  # of a few digits a hundred say little


@pytest.mark.parametrize(
    ("kind", "model"), [("clip", "CLIPForImageClassification"), ("siglip", "SiglipForImageClassification")]
)
def test_a_mean_over_patches_is_right_where_tokens_are_dense(kind, model):
    eyes, x = of_equal_patches(kind)
    config = {"clip": transformers.CLIPConfig, "siglip": transformers.SiglipConfig}[kind](
        vision_config=eyes.config.to_dict(), text_config=SIZES
    )
    reader = getattr(transformers, model)(config).double().eval()
    reader.vision_model = eyes
    wanted = reader(pixel_values=x).logits
    reader.vision_model = reduce_tokens(eyes, "merge", schedule=[5, 0, 0], dense=True)
    assert_within(reader(pixel_values=x).logits, wanted, 1e-10)
    reader.vision_model = reduce_tokens(eyes, "merge", schedule=[5, 0, 0])  # a mean over unequal tokens is another one
    assert (reader(pixel_values=x).logits - wanted).abs().max() > 1e-4 * wanted.abs().max()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_no_patch_is_lost_beyond_what_half_precision_counts(dtype):
    tokens = Tokens.of(torch.ones(1, 1 + 4096, 2, dtype=dtype), 1)
    while tokens.count > 1:
        tokens = merged(tokens, *match(tokens.x, tokens.count // 2, 1))
    assert tokens.sizes.tolist() == [[1, 4096]]


def test_means_of_large_numbers_do_not_overflow_in_half_precision():
    most = torch.finfo(torch.float16).max
    tokens = Tokens.of(torch.tensor([0, most, -most, most, most]).half().view(1, 5, 1), 1)
    pair = torch.tensor([[1]]), torch.tensor([[2]])
    assert merged(tokens, *pair).x.flatten().tolist() == [0, 0, most, most]
    alike = merged(tokens, torch.tensor([[3]]), torch.tensor([[4]]))
    assert alike.x.flatten().tolist() == [0, most, -most, most]
    rest = tokens.summarised(torch.tensor([[1]]))  # the mean of three, the largest number twice and once
    assert rest.x.flatten().tolist() == [0, -most, most]


def test_lengths_beyond_half_precision_are_compared_all_the_same():
    reduced = reduce_tokens(tower(dtype=torch.float16), "norm", 0.25)
    x = torch.zeros(1, 17, 32).index_fill(1, torch.tensor([3, 5, 7, 9]), 30000.0)
    x[:, [1, 2]] = 20000.0  # their lengths, too, are infinite in half precision
    kept = reduced.fewer(Tokens.of(x.half(), 1), reduced.planned(16)[0], None)
    assert kept.places[0, [2, 4, 6, 8]].tolist() == [1, 2, 3, 4]


def test_the_mean_of_what_is_left_out_is_over_patches():
    tokens = Tokens.of(torch.tensor([0.0, 1, 2, 6, 9]).view(1, 5, 1), 1)
    tokens = merged(tokens, torch.tensor([[1]]), torch.tensor([[2]]))  # 1.5 of two patches, 6, 9
    assert tokens.summarised(torch.tensor([[1]])).x.flatten().tolist() == [0, 6, 4]


@pytest.mark.parametrize("kind", KINDS)
def test_dense_tokens_stand_at_their_patches(kind):
    x = images()
    few, tokens = reduce_tokens(tower(kind), "merge", 0.5).traced(x)
    many = reduce_tokens(tower(kind), "merge", 0.5, dense=True)(x, output_hidden_states=True)
    classes = int(kind == "clip")
    for patch in range(16):
        held = few.last_hidden_state[torch.arange(3), tokens.places[:, patch]]
        assert torch.equal(many.last_hidden_state[:, classes + patch], held)
    assert [state.shape for state in many.hidden_states] == [(3, 16 + classes, 32)] * 4
    assert torch.equal(many.pooler_output, few.pooler_output)


@pytest.mark.limit(
    "clip",
    "`dense=True` for a token reduction by which patches are left out",
    "A patch that no token holds has nothing to show. Merge tokens, keep a mean of the others with summary=True, or "
    "fill in the nearest token with dense='nearest'.",
)
@pytest.mark.parametrize(
    "method",
    [
        "original",
        "norm",
        "norm_each_layer",
        "key_query_norm",
        "random",
        "class_attention",
        "adaptive",
        "merge_then_prune",
    ],
)
def test_where_patches_are_gone_there_is_nothing_dense(method):
    with refused(
        "dense: method = 'original' knows" if method == "original" else f"dense: with method = {method!r} some"
    ):
        reduce_tokens(tower(), method, 0.5, dense=True)


@pytest.mark.parametrize(
    ("method", "kind"),
    [
        *itertools.product(["norm", "norm_each_layer", "key_query_norm", "random", "saint", "merge"], KINDS),
        ("adaptive", "clip"),
    ],
)
def test_a_patch_that_is_gone_has_the_token_of_the_nearest_that_is_not(method, kind):
    x = images()[..., :24]  # a grid of 4 rows and 3 columns
    call = {"interpolate_pos_encoding": True}
    few, tokens = reduce_tokens(tower(kind), method, 0.5).traced(x, True)
    many = reduce_tokens(tower(kind), method, 0.5, dense="nearest")(x, output_hidden_states=True, **call)
    classes = int(kind == "clip")
    for image in range(3):
        held = [patch for patch in range(12) if tokens.places[image, patch] >= 0]
        for patch in range(12):
            near = min(held, key=lambda one: ((one // 3 - patch // 3) ** 2 + (one % 3 - patch % 3) ** 2, one))
            wanted = few.last_hidden_state[image, tokens.places[image, near]]
            assert torch.equal(many.last_hidden_state[image, classes + patch], wanted)
    assert [state.shape for state in many.hidden_states] == [(3, 12 + classes, 32)] * 4
    assert torch.equal(many.pooler_output, few.pooler_output)


def test_a_grid_of_other_patches_has_no_nearest():
    tokens = reduce_tokens(tower(), "norm", 0.5).traced(images())[1]
    with refused("rows = 3, columns = 4: a grid of 16 patches is needed"):
        tokens.nearest(3, 4)
    with refused("nearest: where patches have gone was not kept"):
        Tokens.of(torch.randn(1, 5, 3), 1, placed=False).nearest(2, 2)


def test_a_summary_or_all_tokens_are_dense():
    with refused("dense: with class_row_only some patches are held by no token"):
        reduce_tokens(tower(), "merge", 0.5, dense=True, class_row_only=True)
    found = reduce_tokens(tower(), "norm", 0.5, dense=True, summary=True)(images())
    assert found.last_hidden_state.shape == (3, 17, 32)
    assert torch.equal(reduce_tokens(tower(), "norm", dense=True)(images())[0], tower()(images())[0])
    with refused("dense: some patches are held by no token"):
        reduce_tokens(tower(), "norm", 0.5).traced(images())[1].dense()
