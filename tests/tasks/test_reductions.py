"""Reductions on an equal scale, and what is measured of each."""

import clips as small
import pytest
import torch
from towers import tower

from lib.models.clip.reduction import METHODS, reduce_tokens
from lib.profilers.flops import flops
from lib.tasks import reductions, zero_shot


@pytest.mark.parametrize(
    "variant", [one for one in reductions.VARIANTS if one.method != "adaptive"], ids=lambda one: one.name
)
def test_as_many_tokens_stay_as_a_share_of_the_operations_allows(variant):
    model = tower(dtype=torch.float32)
    reduced = reductions.at_ratio(model, variant.method, 0.7, **variant.options)
    assert reductions.cost(model, reduced) <= 0.7
    more = reduce_tokens(model, variant.method, reduced.keep + 1 / 16, **variant.options)
    assert reductions.cost(model, more) > 0.7


def test_a_share_that_no_method_gets_to_is_refused():
    with pytest.raises(ValueError, match=r"target = 0\.01: norm does not get there"):
        reductions.at_ratio(tower(), "norm", 0.01)
    with pytest.raises(ValueError, match=r"target = -1: more than 0"):
        reductions.at_ratio(tower(), "norm", -1)
    with pytest.raises(ValueError, match="method = 'l2': one of"):
        reductions.at_ratio(tower(), "l2", 0.5)


def test_the_share_on_paper_is_that_of_what_runs():
    model = tower(dtype=torch.float32)
    x = torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    reduced = reductions.at_ratio(model, "norm", 0.6, class_row_only=True)
    ran = flops(lambda: reduced(x)) / flops(lambda: model(x))
    assert abs(ran - reductions.cost(model, reduced)) < 1e-6


def test_every_method_is_compared_and_all_have_the_same_last_layer():
    assert {one.method for one in (*reductions.VARIANTS, reductions.SEED)} == set(METHODS)
    assert all(one.options["class_row_only"] for one in reductions.VARIANTS)


@pytest.fixture(scope="module")
def outcomes():
    model, data = small.clip(), small.scenes(10)
    eyes = model.model.vision_model
    chosen = [
        ("same", None, reduce_tokens(eyes, "norm", 1.0)),
        ("adaptive", None, reduce_tokens(eyes, "adaptive", 0.6)),
        ("random", 0.5, reduce_tokens(eyes, "random", 0.5)),
        ("seed's code", None, reduce_tokens(eyes, "seed", 0.5)),
    ]
    return model, data, {one.name: one for one in reductions.outcomes(model, data, chosen)}


def test_with_all_tokens_nothing_is_lost(outcomes):
    model, data, found = outcomes
    assert found["untouched"].accuracy == pytest.approx(zero_shot.accuracy(model, data))
    for name in ("untouched", "same"):
        assert found[name].agreement == 1
        assert found[name].cosine == pytest.approx(1)
        assert found[name].ratio == 1
    assert found["same"].right == found["untouched"].right


def test_of_an_adaptive_budget_the_mean_cost_is_counted(outcomes):
    model, data, found = outcomes
    eyes, costs = model.model.vision_model, []
    reduced = reduce_tokens(eyes, "adaptive", 0.6)
    for image in model.pixels(data.images).split(1):
        costs.append(flops(lambda image=image: reduced(image)) / flops(lambda image=image: eyes(image)))
    assert found["adaptive"].ratio == pytest.approx(sum(costs) / len(costs), abs=0.01)


def test_what_the_seeds_code_costs_is_counted(outcomes):
    model, data, found = outcomes
    eyes, image = model.model.vision_model, model.pixels(data.images[:1])
    ran = flops(lambda: reduce_tokens(eyes, "seed", 0.5)(image)) / flops(lambda: eyes(image))
    assert found["seed's code"].ratio == pytest.approx(ran)


def test_the_seeds_forms_are_held_against_the_tower():
    model, data = small.clip(), small.scenes(8)
    cosines, moved = reductions.seed_forms(model, data)
    assert cosines["mended"] == cosines["both normed, all"] == pytest.approx(1)
    assert cosines["as written"] < 0.999
    assert 0 < moved < 2


def test_answers_are_packed_a_bit_each():
    right = torch.tensor([True, False, False, True, True, False])
    assert reductions.packed(right) == f"{0b100110:02x}"


def test_features_do_not_depend_on_the_batch():
    model, data = small.clip(), small.scenes(7)
    together, apart = (zero_shot.image_features(model, data, batch=size) for size in (7, 2))
    torch.testing.assert_close(together, apart)
