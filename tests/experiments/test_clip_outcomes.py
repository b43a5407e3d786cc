"""What is measured of each reduction on a trained CLIP: answers, features, and operations."""

import clips as small
import pytest
import torch

from lib.experiments import clip_outcomes
from lib.experiments.clip_variants import ORIGINAL, UNREDUCED
from lib.models.clip.reduction import reduce_tokens
from lib.profilers.flops import flops
from lib.tasks import zero_shot


@pytest.fixture(scope="module")
def outcomes():
    model, data = small.clip(), small.scenes(10)
    eyes = model.model.vision_model
    chosen = [
        ("same", None, reduce_tokens(eyes, "norm", 1.0)),
        ("adaptive", None, reduce_tokens(eyes, "adaptive", 0.6)),
        ("random", 0.5, reduce_tokens(eyes, "random", 0.5)),
        (ORIGINAL, None, reduce_tokens(eyes, "original", 0.5)),
    ]
    return model, data, {one.name: one for one in clip_outcomes.outcomes(model, data, chosen)}


def test_with_all_tokens_nothing_is_lost(outcomes):
    model, data, found = outcomes
    assert found[UNREDUCED].accuracy == pytest.approx(zero_shot.accuracy(model, data))
    for name in (UNREDUCED, "same"):
        assert found[name].agreement == 1
        assert found[name].cosine == pytest.approx(1)
        assert found[name].ratio == 1
    assert found["same"].right == found[UNREDUCED].right


def test_of_an_adaptive_budget_the_mean_cost_is_counted(outcomes):
    model, data, found = outcomes
    eyes, costs = model.model.vision_model, []
    reduced = reduce_tokens(eyes, "adaptive", 0.6)
    for image in model.pixels(data.images).split(1):
        costs.append(flops(lambda image=image: reduced(image)) / flops(lambda image=image: eyes(image)))
    assert found["adaptive"].ratio == pytest.approx(sum(costs) / len(costs), abs=0.01)


def test_what_the_original_code_costs_is_counted(outcomes):
    model, data, found = outcomes
    eyes, image = model.model.vision_model, model.pixels(data.images[:1])
    ran = flops(lambda: reduce_tokens(eyes, "original", 0.5)(image)) / flops(lambda: eyes(image))
    assert found[ORIGINAL].ratio == pytest.approx(ran)


def test_the_original_forms_are_held_against_the_tower():
    model, data = small.clip(), small.scenes(8)
    cosines, moved = clip_outcomes.original_forms(model, data)
    assert cosines["mended"] == cosines["both normed, all"] == pytest.approx(1)
    assert cosines["as written"] < 0.999
    assert 0 < moved < 2


def test_answers_are_packed_a_bit_each():
    right = torch.tensor([True, False, False, True, True, False])
    assert clip_outcomes.packed(right) == f"{0b100110:02x}"


def test_features_do_not_depend_on_the_batch():
    model, data = small.clip(), small.scenes(7)
    together, apart = (zero_shot.image_features(model, data, batch=size) for size in (7, 2))
    torch.testing.assert_close(together, apart)
