"""Operations on paper against those that a counter sees."""

import pytest
import torch
import transformers
from refusals import refused
from towers import KINDS, images, tower

from lib.models.clip import cost as vit_cost
from lib.profilers.flops import flops


@pytest.mark.parametrize("side", [32, 48])
@pytest.mark.parametrize("kind", KINDS)
def test_the_parts_sum_to_what_runs(kind, side):
    model, x = tower(kind, dtype=torch.float32), images(1, side, dtype=torch.float32)
    if hasattr(model, "use_head"):
        model.use_head = False  # what it pools with is no part of the tower
    paper = vit_cost.vision_flops(model.config, side=side)
    assert set(paper) == set(vit_cost.PARTS)
    assert sum(paper.values()) == flops(lambda: model(x, interpolate_pos_encoding=True))


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
    with refused("config.model_type = 'clip': one of clip_vision_model, siglip_vision_model is needed"):
        vit_cost.vision_flops(transformers.CLIPConfig())
    with refused("config.model_type = 'dinov2': one of clip_vision_model, siglip_vision_model is needed"):
        vit_cost.vision_flops(transformers.Dinov2Config())
    for count in (
        lambda side: vit_cost.patches(tower().config, side),
        lambda side: vit_cost.vision_flops(tower().config, side=side),
    ):
        for side in (7, 0, -32, 32.5):
            with refused(f"side = {side}: an integer of at least 8 is needed"):
                count(side)
