"""Tokens counted on paper against what runs, reduced for good reason or for none."""

import pytest
import torch
from reductions import FIXED, REDUCTIONS, WALKS
from towers import images, tower

from lib.models.clip import cost as vit_cost
from lib.models.clip.reduction import kind, reduce_tokens
from lib.models.clip.reduction.kmeans import ITERATIONS
from lib.profilers.flops import flops


@pytest.mark.parametrize("method", FIXED)
@pytest.mark.parametrize("alone", [False, True])
@pytest.mark.parametrize("keep", [1.0, 0.5])
def test_what_is_counted_on_paper_is_what_runs(method, alone, keep):
    model, x = tower(dtype=torch.float32), images(2, dtype=torch.float32)
    reduced = reduce_tokens(model, method, keep, class_row_only=alone)
    paper = sum(vit_cost.vision_flops(model.config, reduced.seen(16), class_row_only=alone).values())
    ran = flops(lambda: reduced(x)) / 2
    matching = 0 if keep == 1 else 0.03 * paper  # scores and similarities, which the paper leaves out
    if method == "kmeans" and keep < 1:  # distances of all patches to all centres, in every iteration and at the end
        ran -= (ITERATIONS + 1) * 2 * 16 * 8 * model.config.hidden_size
    assert paper <= ran <= paper + matching
    if keep == 1:
        assert paper == sum(vit_cost.vision_flops(model.config, class_row_only=alone).values())


@pytest.mark.parametrize("method", [name for name in REDUCTIONS if name not in WALKS])
@pytest.mark.parametrize("keep", [1.0, 0.5, 0.33, 0.01])
def test_a_method_of_its_own_form_is_counted_on_paper_too(method, keep):
    model, x = tower(dtype=torch.float32), images(2, dtype=torch.float32)
    reduced = reduce_tokens(model, method, keep)
    paper = sum(vit_cost.vision_flops(model.config, reduced.seen(16)).values())
    assert paper == flops(lambda: reduced(x)) / 2


@pytest.mark.parametrize("method", [name for name in WALKS if kind(name).per_image])
def test_a_number_per_image_is_counted_for_that_image(method):
    model, x = tower(dtype=torch.float32), images(1, dtype=torch.float32)
    reduced = reduce_tokens(model, method, 0.6)
    with pytest.raises(ValueError, match=f"chosen = None: with method = '{method}' every image has its own number"):
        reduced.seen(16)
    chosen = reduced.traced(x)[1].count
    paper = sum(vit_cost.vision_flops(model.config, reduced.seen(16, chosen)).values())
    assert paper <= flops(lambda: reduced(x)) <= 1.03 * paper


@pytest.mark.parametrize("method", FIXED)
def test_its_sliced_form_has_as_many_tokens_and_computes_no_score(method):
    reduced, x = reduce_tokens(tower(dtype=torch.float32), method, 0.5), images(2, dtype=torch.float32)
    sliced = reduced.sliced()
    assert sliced(x).last_hidden_state.shape == reduced(x).last_hidden_state.shape
    assert flops(lambda: sliced(x)) / 2 == sum(vit_cost.vision_flops(reduced.config, reduced.seen(16)).values())
    assert not reduced.slicing
