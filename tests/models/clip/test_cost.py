"""Operations on paper against those that a counter sees."""

import pytest
import torch
import transformers
from refusals import refused
from towers import BEFORE, KINDS, OTHERS, images, tower

from lib.models.clip import cost as vit_cost
from lib.models.clip.reduction import reduce_tokens
from lib.profilers.flops import flops


@pytest.mark.parametrize("side", [32, 48])
@pytest.mark.parametrize("kind", [*KINDS, *OTHERS])
def test_the_parts_sum_to_what_runs(kind, side):
    model, x = tower(kind, dtype=torch.float32), images(1, side, dtype=torch.float32)
    if hasattr(model, "use_head"):
        model.use_head = False  # what it pools with is no part of the tower
    if hasattr(model, "pooler"):
        model.pooler = None
    paper = vit_cost.vision_flops(model.config, side=side)
    assert set(paper) == set(vit_cost.PARTS)
    resized = {} if kind.startswith("dinov2") else {"interpolate_pos_encoding": True}
    assert sum(paper.values()) == flops(lambda: model(x, **resized))


def test_a_gated_mlp_costs_three_products():
    model, x = tower("dinov2", dtype=torch.float32, use_swiglu_ffn=True), images(1, dtype=torch.float32)
    assert sum(vit_cost.vision_flops(model.config).values()) == flops(lambda: model(x))


@pytest.mark.parametrize("kind", [*KINDS, *OTHERS])
def test_a_reduced_tower_costs_what_its_tokens_do(kind):
    model = tower(kind, dtype=torch.float32)
    seen = reduce_tokens(model, "merge").seen(16)
    assert seen == [(16 + BEFORE.get(kind, 1),) * 2] * 3
    assert vit_cost.vision_flops(model.config, seen) == vit_cost.vision_flops(model.config)


def test_only_attention_grows_with_the_square():
    config = tower().config
    small, large = (vit_cost.vision_flops(config, seen=[(count, count)] * 3) for count in (100, 200))
    assert large["attention"] == 4 * small["attention"]
    assert large["MLP"] == 2 * small["MLP"]
    assert large["projections"] == 2 * small["projections"]


def test_patches_are_those_of_the_image():
    assert vit_cost.patches(tower().config) == 16
    assert vit_cost.patches(tower().config, 64) == 64


def test_what_is_no_tower_has_no_cost():
    with refused("config.model_type = 'clip': one of clip_vision_model, siglip_vision_model, metaclip_2_vision"):
        vit_cost.vision_flops(transformers.CLIPConfig())
    with refused("config.model_type = 'swin': one of clip_vision_model, siglip_vision_model, metaclip_2_vision"):
        vit_cost.vision_flops(transformers.SwinConfig())
    for count in (
        lambda side: vit_cost.patches(tower().config, side),
        lambda side: vit_cost.vision_flops(tower().config, side=side),
    ):
        for side in (7, 0, -32, 32.5):
            with refused(f"side = {side}: an integer of at least 8 is needed"):
                count(side)
