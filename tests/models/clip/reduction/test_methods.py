"""Every token reduction of the table: with all tokens it is the model itself, and every patch is accounted for."""

import pytest
import torch
from reductions import EXACT, FIXED, REDUCTIONS, SEEN, WALKS, merging
from refusals import refused
from torch.testing import assert_close
from towers import images, tower

from lib.models.clip.reduction import reduce_tokens
from lib.models.clip.reduction.base import Cut
from lib.models.clip.tokens import GONE


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


@pytest.mark.parametrize("method", [name for name in REDUCTIONS if name not in EXACT])
def test_a_method_that_is_not_exact_says_so_with_reason(method):
    found, wanted = reduce_tokens(tower(), method, 1.0)(images()), tower()(images())
    assert (found.pooler_output - wanted.pooler_output).norm() > 1e-2 * wanted.pooler_output.norm()


@pytest.mark.parametrize(("kind", "method"), [one for one in SEEN if one[1] in FIXED])
@pytest.mark.parametrize("keep", [0.75, 0.5])
def test_a_share_remains_and_every_patch_is_held_or_gone(kind, method, keep):
    found, tokens = reduce_tokens(tower(kind), method, keep).traced(images())
    classes = int(kind == "clip")
    left = found.last_hidden_state.shape[1] - classes
    assert left == round(16 * keep)
    merges = merging(method)
    for row, sizes in zip(tokens.places, tokens.sizes, strict=True):
        held = row[row != GONE]
        assert held.bincount(minlength=left + classes).tolist()[classes:] == sizes[classes:].tolist()
        assert not all(merges) or len(held) == 16
        first = [(row == place).nonzero()[0].item() for place in range(classes, left + classes)]
        assert any(merges) or first == sorted(first)
    assert found.last_hidden_state.isfinite().all()


@pytest.mark.parametrize("method", REDUCTIONS)
def test_neighbours_in_a_batch_do_not_matter(method):
    reduced, x = reduce_tokens(tower(), method, 0.5), images(4)
    together = reduced(x).pooler_output
    for number in range(4):
        assert_close(reduced(x[number : number + 1]).pooler_output, together[number : number + 1])


@pytest.mark.parametrize("method", WALKS)
@pytest.mark.parametrize("keep", [1.0, 0.5])
def test_the_class_token_alone_is_enough_for_the_last_layer(method, keep):
    short, whole = (reduce_tokens(tower(), method, keep, class_row_only=alone) for alone in (True, False))
    whole.planned = lambda patches: [*short.planned(patches), Cut()]  # the last layer takes nothing in either
    short, whole = short(images()), whole(images())
    assert_close(short.pooler_output, whole.pooler_output)
    assert_close(short.last_hidden_state, whole.last_hidden_state[:, :1])


@pytest.mark.parametrize("method", EXACT)
def test_half_precision_keeps_the_direction(method):
    x = images(256, dtype=torch.float32)[:8]
    exact = reduce_tokens(tower(dtype=torch.float32), method, 0.5)(x).pooler_output
    half = reduce_tokens(tower(dtype=torch.bfloat16), method, 0.5)(x.bfloat16()).pooler_output
    assert half.dtype == torch.bfloat16
    assert torch.cosine_similarity(half.float(), exact, dim=1).mean() > 0.98


@pytest.mark.parametrize("method", REDUCTIONS)
def test_one_image_or_many(method):
    reduced, x = reduce_tokens(tower(), method, 0.5), images(256)  # in single precision a choice may be a tie
    assert_close(reduced(x[200:201]).pooler_output, reduced(x).pooler_output[200:201])


@pytest.mark.parametrize("method", REDUCTIONS)
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x: x.index_fill(2, torch.tensor([3]), torch.nan), "pixel_values: all of its values must be finite"),
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


@pytest.mark.parametrize("method", REDUCTIONS)
def test_images_of_another_size_need_interpolated_positions(method):
    reduced, x = reduce_tokens(tower(), method, 0.5), images(side=48)
    with pytest.raises(ValueError, match=r"images of 48 x 48 pixels|Input image size \(48\*48\) doesn't match model"):
        reduced(x)
    assert reduced(x, interpolate_pos_encoding=True).pooler_output.isfinite().all()


@pytest.mark.parametrize("method", REDUCTIONS)
def test_a_tower_that_is_reduced_already_is_refused(method):
    once = reduce_tokens(tower(), method, 0.5)
    with refused(f"{type(once).__name__}: reduced already; `.model` is the tower", TypeError):
        reduce_tokens(once, "norm", 0.5)
    assert reduce_tokens(once.model, "norm", 0.5)
