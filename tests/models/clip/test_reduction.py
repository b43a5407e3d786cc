"""Token reduction: with all tokens it is the model itself, and every patch is accounted for."""

import pytest
import torch
from refusals import refused
from torch.testing import assert_close
from towers import KINDS, images, tower

from lib.models.clip import cost as vit_cost
from lib.models.clip.reduction import CLASS, METHODS, reduce_tokens
from lib.models.clip.tokens import GONE, Tokens
from lib.profilers.flops import flops

OURS = [method for method in METHODS if method != "seed"]
FIXED = [method for method in OURS if method != "adaptive"]  # as many tokens of every image
MERGING = ("merge", "merge_in_rounds")
SEEN = [(kind, method) for kind in KINDS for method in OURS if kind == "clip" or method not in CLASS]
every_method = pytest.mark.parametrize("method", OURS)


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


@pytest.mark.parametrize(("kind", "method"), [one for one in SEEN if one[1] in FIXED])
@pytest.mark.parametrize("keep", [0.75, 0.5])
def test_a_share_is_left_and_every_patch_is_held_or_gone(kind, method, keep):
    model = tower(kind)
    found, tokens = reduce_tokens(model, method, keep).traced(images())
    classes = int(kind == "clip")
    left = found.last_hidden_state.shape[1] - classes
    assert left == round(16 * keep)
    for row, sizes in zip(tokens.places, tokens.sizes, strict=True):
        held = row[row != GONE]
        assert held.bincount(minlength=left + classes).tolist()[classes:] == sizes[classes:].tolist()
        assert method not in MERGING or len(held) == 16
        first = [(row == place).nonzero()[0].item() for place in range(classes, left + classes)]
        assert method in (*MERGING, "merge_then_prune") or first == sorted(first)
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
        *[(method, keep, ("front", "front")) for method in OURS for keep in (1.0, 0.5) if method not in MERGING],
        ("merge", 1.0, ([4, 4, 0], [4, 4])),
        ("merge_in_rounds", 1.0, ([4, 4, 2, 0], [4, 4, 2])),
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
    _, tokens = reduce_tokens(tower(), "merge", 0.5, schedule=schedule, class_row_only=True).traced(images())
    assert tokens.places.max() == (13 if isinstance(schedule, list) else 8)


def test_the_class_token_chooses_those_it_attends_to_most():
    model, x = tower(), images()
    model.set_attn_implementation("eager")
    weights = model(x, output_attentions=True).attentions[1][:, :, 0, 1:].mean(1)
    _, tokens = reduce_tokens(tower(), "class_attention", 0.25).traced(x)
    for row, weight in zip(tokens.places, weights, strict=True):
        assert set((row != GONE).nonzero().squeeze(1).tolist()) == set(weight.topk(4).indices.tolist())


def test_norm_keeps_the_longest_and_random_what_its_seed_says():
    model, x = tower(), images()
    longest = model.pre_layrnorm(model.embeddings(x))[:, 1:].norm(dim=-1)
    _, tokens = reduce_tokens(model, "norm", 0.5).traced(x)
    for row, length in zip(tokens.places, longest, strict=True):
        assert set((row != GONE).nonzero().squeeze(1).tolist()) == set(length.topk(8).indices.tolist())
    first, again, other = (reduce_tokens(model, "random", 0.5, seed=seed).traced(x)[1].places for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "l2"}, "method = 'l2': one of seed, norm, random"),
        ({"method": "norm", "keep": 0.0}, "keep = 0.0: more than 0"),
        ({"method": "merge", "keep": 1.5}, "keep = 1.5: more than 0"),
        ({"method": "merge", "schedule": "linear"}, "schedule = 'linear': one of"),
        (
            {"method": "merge", "keep": 0.1, "schedule": "constant"},
            "schedule = 'constant': 7 tokens are left when 5 are to merge at place 2; at most 3 can at once",
        ),
        ({"method": "class_attention", "layer": 3}, "layer = 3: 0 to 2 is needed"),
        ({"method": "merge", "summary": True}, "summary: method = 'merge' leaves out no fixed number of patches"),
        ({"method": "seed", "keep": 2.0}, "keep = 2.0: more than 0"),
    ],
)
def test_what_cannot_be_is_said_when_it_is_made(options, message):
    with pytest.raises(ValueError, match=message):
        reduce_tokens(tower(), **options)


def test_a_tower_without_a_class_token_says_so():
    for options in ({"method": "class_attention"}, {"method": "norm", "class_row_only": True}):
        with pytest.raises(ValueError, match="SiglipVisionModel has no class token"):
            reduce_tokens(tower("siglip"), **options)


def test_each_image_has_the_fewest_patches_that_hold_a_share_of_its_attention():
    model, x = tower(), images(6)
    model.set_attn_implementation("eager")
    weights = model(x, output_attentions=True).attentions[1][:, :, 0, 1:].mean(1)
    found, tokens = reduce_tokens(tower(), "adaptive", 0.6).traced(x)
    counts = []
    for row, sizes, weight in zip(tokens.places, tokens.sizes, weights, strict=True):
        held = weight[row != GONE]
        counts.append(len(held))
        assert held.sum() >= 0.6 * weight.sum() > held.sum() - held.min()
        assert set(held.tolist()) == set(weight.topk(len(held)).values.tolist())
        assert sizes.sum() == 1 + len(held)
    assert len(set(counts)) > 1
    assert found.last_hidden_state.shape[1] == 1 + max(counts)


def test_a_summary_is_the_mean_of_what_was_left_out_and_holds_its_patches():
    model, x = tower(), images()
    before = model.pre_layrnorm(model.embeddings(x))
    chosen = torch.tensor([[1, 5, 7]] * 3)
    tokens = Tokens.of(before, 1).summarised(chosen)
    left = [number for number in range(16) if number not in (1, 5, 7)]
    assert_close(tokens.x[:, -1], before[:, 1:][:, left].mean(1))
    assert_close(tokens.x[:, :4], before[:, [0, 2, 6, 8]])
    assert (tokens.places[:, left] == 4).all()
    assert tokens.places[:, [1, 5, 7]].tolist() == [[1, 2, 3]] * 3
    _, tokens = reduce_tokens(model, "norm", 0.5, summary=True).traced(x)
    assert tokens.x.shape[1] == 1 + 8 + 1


@pytest.mark.parametrize("method", FIXED)
@pytest.mark.parametrize("alone", [False, True])
@pytest.mark.parametrize("keep", [1.0, 0.5])
def test_what_is_counted_on_paper_is_what_runs(method, alone, keep):
    model, x = tower(dtype=torch.float32), images(2, dtype=torch.float32)
    reduced = reduce_tokens(model, method, keep, class_row_only=alone)
    paper = sum(vit_cost.vision_flops(model.config, reduced.seen(16), class_row_only=alone).values())
    ran = flops(lambda: reduced(x)) / 2
    matching = 0 if keep == 1 else 0.03 * paper  # scores and similarities, which the paper leaves out
    assert paper <= ran <= paper + matching
    if keep == 1:
        assert paper == sum(vit_cost.vision_flops(model.config, class_row_only=alone).values())


@pytest.mark.parametrize("method", OURS)
def test_half_precision_keeps_the_direction(method):
    x = images(256, dtype=torch.float32)[:8]
    exact = reduce_tokens(tower(dtype=torch.float32), method, 0.5, class_row_only=True)(x).pooler_output
    half = reduce_tokens(tower(dtype=torch.bfloat16), method, 0.5, class_row_only=True)(x.bfloat16()).pooler_output
    assert half.dtype == torch.bfloat16
    assert torch.cosine_similarity(half.float(), exact, dim=1).mean() > 0.98


@pytest.mark.parametrize("method", OURS)
def test_one_image_or_many(method):
    reduced, x = reduce_tokens(tower(dtype=torch.float32), method, 0.5), images(256, dtype=torch.float32)
    assert_close(reduced(x[200:201]).pooler_output, reduced(x).pooler_output[200:201], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x: x.index_fill(2, torch.tensor([3]), torch.nan), "pixel_values: all of them must be finite"),
        (lambda x: x[:0], "pixel_values of shape (0, 3, 32, 32): (B, 3, H, W) with B >= 1 and H >= 8 and W >= 8"),
        (lambda x: x[0], "pixel_values of shape (3, 32, 32)"),
        (lambda x: x[:, :1], "pixel_values of shape (3, 1, 32, 32)"),
        (lambda x: x[..., :4], "pixel_values of shape (3, 3, 32, 4)"),
        (lambda x: x.long(), "pixel_values of torch.int64: floating-point numbers are needed"),
    ],
)
def test_what_is_no_image_is_refused(method, change, message):
    reduced = reduce_tokens(tower(), method, 0.5)
    with refused(message):
        reduced(change(images()))


@pytest.mark.parametrize("method", FIXED)
def test_its_twin_slices_as_many_tokens_and_asks_for_nothing(method):
    reduced, x = reduce_tokens(tower(dtype=torch.float32), method, 0.5), images(2, dtype=torch.float32)
    twin = reduced.sliced()
    assert twin(x).last_hidden_state.shape == reduced(x).last_hidden_state.shape
    assert flops(lambda: twin(x)) / 2 == sum(vit_cost.vision_flops(reduced.config, reduced.seen(16)).values())
    assert not reduced.slicing


def test_images_of_another_size_need_interpolated_positions():
    with pytest.raises(ValueError, match="images of 48 x 48 pixels: 32 x 32 without interpolated positions"):
        reduce_tokens(tower(), "seed", 0.5)(images(side=48))
    with pytest.raises(ValueError, match=r"Input image size \(48\*48\) doesn't match model"):
        reduce_tokens(tower(), "norm", 0.5)(images(side=48))


@pytest.mark.parametrize("method", ["seed", "norm"])
def test_a_tower_that_is_reduced_already_is_refused(method):
    once = reduce_tokens(tower(), method, 0.5)
    with refused(f"{type(once).__name__}: reduced already; `.model` is the tower", TypeError):
        reduce_tokens(once, "norm", 0.5)
    assert reduce_tokens(once.model, "norm", 0.5)
