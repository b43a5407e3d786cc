"""Every tower takes the place of CLIP's own, with its parameters, and gives what transformers expects."""

from dataclasses import replace

import pytest
import torch
from transformers import CLIPConfig, CLIPModel, CLIPVisionConfig, CLIPVisionModel

from lib import names
from lib.models.ssm_vlm.tower import CLOSE, VisionTower, fitted

SMALL = {"hidden_size": 96, "intermediate_size": 288, "num_hidden_layers": 6, "num_attention_heads": 3}
SMALL |= {"image_size": 64, "patch_size": 8}
TINY = {"hidden_size": 12, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 3}
TINY |= {"image_size": 16, "patch_size": 4}
every = pytest.mark.parametrize("kind", names.TOWERS)


def counted(model):
    return sum(weight.numel() for name, weight in model.named_parameters() if "position" not in name)


@every
def test_it_has_the_parameters_of_the_transformer(kind):
    config = CLIPVisionConfig(**SMALL)
    assert counted(VisionTower(config, kind)) == pytest.approx(counted(CLIPVisionModel(config)), rel=CLOSE)


@every
def test_it_stands_in_a_clip_and_learns(kind):
    text = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2}
    text |= {"vocab_size": 9, "projection_dim": 8}
    clip = CLIPModel(CLIPConfig(text_config=text, vision_config={**TINY, "projection_dim": 8}, projection_dim=8))
    sizes = fitted(CLIPVisionConfig(**SMALL), kind)
    clip.vision_model = VisionTower(clip.config.vision_config, kind, shrunk(sizes))
    pixels, ids = torch.randn(2, 3, 16, 16), torch.ones(2, 3, dtype=torch.long)
    found = clip(input_ids=ids, pixel_values=pixels)
    assert found.image_embeds.shape == (2, 8)
    assert found.vision_model_output.last_hidden_state.shape == (2, 16, 12)
    clip.get_image_features(pixels).pooler_output.square().sum().backward()
    lacking = [name for name, one in clip.vision_model.named_parameters() if one.grad is None]
    assert not lacking


def shrunk(sizes):
    """As many blocks, for a tower of 12 channels."""
    return replace(sizes, mamba=replace(sizes.mamba, dim=12, states=4), heads=3)


@every
def test_equal_generators_make_equal_towers(kind):
    config = CLIPVisionConfig(**SMALL)
    one, other = (VisionTower(config, kind, generator=torch.Generator().manual_seed(3)) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


@every
@torch.no_grad()
def test_images_of_a_batch_do_not_see_each_other(kind):
    tower = VisionTower(CLIPVisionConfig(**SMALL), kind, generator=torch.Generator().manual_seed(0)).double()
    pixels = torch.randn(3, 3, 64, 64, generator=torch.Generator().manual_seed(1)).double()
    together, alone = tower(pixels).pooler_output, tower(pixels[1:2]).pooler_output
    torch.testing.assert_close(together[1:2], alone, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda config: VisionTower(config, "lottery"), "kind = 'lottery'"),
        (lambda config: VisionTower(CLIPVisionConfig(**{**TINY, "image_size": 17}), "s4nd"), "image_size = 17"),
        (lambda config: fitted(CLIPVisionConfig(**{**TINY, "num_hidden_layers": 1}), "s4nd"), "within 2%"),
    ],
)
def test_what_does_not_fit_is_refused(call, words):
    with pytest.raises(ValueError, match=words):
        call(CLIPVisionConfig(**SMALL))


@pytest.mark.limit(
    "ssm_vlm",
    "Images of another size than a tower's own, or options of CLIP's tower such as output_attentions",
    "Positions are those of one size, and scans have no attention to show. Make a VisionTower with that image_size.",
)
@pytest.mark.parametrize(
    ("side", "options", "words"),
    [
        (32, {}, "pixel_values of shape"),
        (32, {"interpolate_pos_encoding": True}, "interpolate_pos_encoding = True"),
        (64, {"output_attentions": True}, "output_attentions = True"),
    ],
)
def test_other_images_and_options_are_refused(side, options, words):
    tower = VisionTower(CLIPVisionConfig(**SMALL), "vision_mamba")
    with pytest.raises(ValueError, match=words):
        tower(torch.zeros(1, 3, side, side), **options)
