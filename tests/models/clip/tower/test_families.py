"""Towers of every kind that is known are reduced, and each kind that cannot be is refused with its reason."""

import peft
import pytest
import torch
import transformers
from precision import assert_within
from refusals import refused
from towers import BEFORE, KINDS, OTHERS, images, of_equal_patches, tower
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from lib.models.clip.reduction import reduce_tokens
from lib.models.clip.tower.families import FAMILIES, names

METHODS = ("merge", "merge_in_rounds", "merge_then_prune", "class_attention", "adaptive", "norm", "random")
SEEN = {"output_hidden_states": True, "output_attentions": True}
EVERY = [*KINDS, *OTHERS]
RESIZED = {"interpolate_pos_encoding": True}


def same(found, wanted):
    assert type(found) is type(wanted)
    assert list(found) == list(wanted)
    for one, other in zip(found.to_tuple(), wanted.to_tuple(), strict=True):
        pairs = zip(one, other, strict=True) if isinstance(other, tuple) else [(one, other)]
        assert all(mine is theirs or torch.equal(mine, theirs) for mine, theirs in pairs)


@pytest.mark.parametrize("implementation", ["eager", "sdpa"])
@pytest.mark.parametrize("kind", OTHERS)
@torch.no_grad()
def test_with_all_tokens_it_is_the_model_to_the_last_bit(kind, implementation):
    model, x = tower(kind, drop_path_rate=0.5) if kind.startswith("dinov2") else tower(kind), images()
    model.set_attn_implementation(implementation)
    for method in ("merge_in_rounds", "class_attention", "norm"):
        same(reduce_tokens(model, method)(x, **SEEN), model(x, **SEEN))
    same(reduce_tokens(model.bfloat16(), "merge")(x.bfloat16()), model(x.bfloat16()))


@pytest.mark.parametrize("kind", OTHERS)
@torch.no_grad()
def test_images_of_another_size_are_what_they_are_to_the_model(kind):
    model, x = tower(kind), torch.cat([images(side=48), images(side=48, seed=2)], dim=3)
    reduced = reduce_tokens(model, "merge")
    same(reduced(x, **RESIZED), model(x, **({} if kind.startswith("dinov2") else RESIZED)))
    if kind.startswith("dinov2") or kind == "clipseg":  # interpolate where they are not asked to
        same(reduced(x), model(x))
    else:
        with pytest.raises(ValueError, match="Input image size"):
            reduced(x)


@pytest.mark.parametrize("kind", OTHERS)
@pytest.mark.parametrize("method", METHODS)
@torch.no_grad()
def test_tokens_before_the_patches_stay_and_merging_conserves_the_patches(kind, method):
    output, tokens = reduce_tokens(tower(kind), method, 0.5).traced(images())
    before = BEFORE.get(kind, 1)
    assert tokens.classes == before
    assert (tokens.sizes[:, :before] == 1).all()
    if method.endswith(("merge", "rounds")):
        assert tokens.sizes[:, before:].sum(1).tolist() == [16] * 3
        assert (tokens.places >= before).all()
    if method != "adaptive":
        assert output.last_hidden_state.shape == (3, before + 8, 32)
    assert output.pooler_output.isfinite().all()


@pytest.mark.parametrize(
    ("method", "schedule"), [("merge", [8, 4, 0]), ("merge_in_rounds", [8, 0, 0, 0]), ("merge_in_rounds", [0, 8, 0, 0])]
)
@pytest.mark.parametrize("kind", OTHERS)
@torch.no_grad()
def test_equal_patches_merge_and_nothing_changes(kind, method, schedule):
    model, x = of_equal_patches(kind, 4 if 4 in schedule else 2)
    wanted = model(x)
    found = reduce_tokens(model, method, schedule=schedule, dense=True)(x)
    assert_within(found.last_hidden_state, wanted.last_hidden_state, 1e-10)
    assert_within(found.pooler_output, wanted.pooler_output, 1e-10)


@pytest.mark.parametrize("kind", OTHERS)
@torch.no_grad()
def test_one_row_of_the_last_layer_is_the_row_of_all(kind):
    model, x = tower(kind), images()
    found = reduce_tokens(model, "merge", class_row_only=True)(x)
    assert_within(found.pooler_output, model(x).pooler_output, 1e-10)
    assert found.last_hidden_state.shape[1] == 1


@torch.no_grad()
def test_a_vit_without_a_pooler_and_a_gated_mlp_are_served():
    model, x = transformers.ViTModel(tower("vit").config, add_pooling_layer=False).double().eval(), images()
    same(reduce_tokens(model, "merge")(x), model(x))
    assert reduce_tokens(model, "merge", 0.5)(x).pooler_output is None
    model = tower("dinov2", use_swiglu_ffn=True)
    same(reduce_tokens(model, "merge")(x), model(x))
    assert reduce_tokens(model, "merge", 0.5)(x).pooler_output.isfinite().all()


def test_layers_drop_paths_in_training_only():
    model, x = tower("dinov2", drop_path_rate=0.5), images(8)
    reduced = reduce_tokens(model, "merge", 0.5)
    assert torch.equal(reduced(x).pooler_output, reduced(x).pooler_output)
    model.train()
    torch.manual_seed(0)
    first, second = reduced(x).pooler_output, reduced(x).pooler_output
    assert (first - second).abs().max() > 1e-3
    first.sum().backward()
    assert model.encoder.layer[0].layer_scale1.lambda1.grad.any()


@pytest.mark.parametrize("kind", OTHERS)
def test_it_saves_the_model_and_takes_adapters(kind, tmp_path):
    model, x = tower(kind, dtype=torch.float32), images(dtype=torch.float32)
    reduced = reduce_tokens(model, "merge", 0.5)
    reduced.save_pretrained(tmp_path)
    loaded = type(model).from_pretrained(tmp_path)
    assert_within(reduce_tokens(loaded, "merge", 0.5)(x)[1], reduced(x)[1], 1e-5)
    adapted = peft.get_peft_model(reduced, peft.LoraConfig(target_modules=["q_proj"], init_lora_weights=False))
    assert (adapted(x)[1] - reduce_tokens(loaded, "merge", 0.5)(x)[1]).abs().max() > 1e-4


@torch.no_grad()
def test_a_classifier_of_dinov2_reads_a_dense_tower():
    model = transformers.Dinov2ForImageClassification(tower("dinov2").config).double().eval()
    model.dinov2, x = tower("dinov2"), images()
    wanted, eyes = model(x).logits, model.dinov2
    model.dinov2 = reduce_tokens(eyes, "merge", dense=True)
    assert torch.equal(model(x).logits, wanted)
    model.dinov2 = reduce_tokens(eyes, "merge", 0.5, dense=True)
    assert model(x).logits.isfinite().all()


@pytest.mark.limit(
    "clip",
    "Attention implementations other than eager and sdpa, such as flex or flash attention, for token reduction",
    "Where tokens have merged, attention needs a bias by their sizes, which those do not take in the same way.",
)
@pytest.mark.parametrize("kind", EVERY)
def test_another_implementation_of_attention_is_refused(kind, monkeypatch):
    model, x = tower(kind), images()
    reduced = reduce_tokens(model, "merge", 0.5)
    for name in ("flex_attention", "mine"):
        if name == "mine":
            monkeypatch.setitem(ALL_ATTENTION_FUNCTIONS._local_mapping, "mine", lambda *_, **__: None)
        model.config._attn_implementation = name
        said = f"the tower's attention implementation = {name!r}: one of eager, sdpa is needed"
        with refused(said):
            reduce_tokens(model, "merge", 0.5)
        with refused(said):
            reduced(x)
        model.config._attn_implementation = "sdpa"


TINY = {"num_hidden_layers": 1, "image_size": 32, "patch_size": 8, "hidden_size": 32, "num_attention_heads": 4}


@pytest.mark.limit(
    "clip",
    "Vision models whose tokens cannot be taken away: ALIGN's, Swin, DINOv3, BEiT, SigLIP 2 of any resolution",
    "They have a grid that must stay whole, or know each token by its position inside attention: the message says why.",
)
@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("AlignVision", "has no tokens: its convolutions need every cell of a grid"),
        ("EfficientNet", "has no tokens: its convolutions need every cell of a grid"),
        ("ConvNext", "has no tokens: its convolutions need every cell of a grid"),
        ("MobileNetV2", "has no tokens: its convolutions need every cell of a grid"),
        ("ResNet", "has no tokens: its convolutions need every cell of a grid"),
        ("Swin", "attends within windows of a grid, from which no token can be taken"),
        ("Swinv2", "attends within windows of a grid, from which no token can be taken"),
        ("DINOv3ViT", "rotates queries and keys by every patch's position inside its attention"),
        ("Beit", "adds a bias to its attention for every pair of patches"),
        ("Siglip2Vision", "takes images cut into patches, padded to one number; SigLIP 2 of one resolution is a"),
        ("ViTMAE", "leaves out patches at random by itself"),
    ],
)
def test_a_kind_that_cannot_be_reduced_is_refused_with_its_reason(name, why):
    config = getattr(transformers, f"{name}Config")
    given = {} if name in ("Swin", "Swinv2") else {key: value for key, value in TINY.items() if hasattr(config(), key)}
    with torch.device("meta"):
        model = getattr(transformers, f"{name}Model")(config(**given))
    with refused(f"{type(model).__name__} {why}", TypeError):
        reduce_tokens(model, "merge", 0.5)


def test_every_family_is_one_that_transformers_has():
    for family, name in zip(FAMILIES, names(), strict=True):
        assert getattr(transformers, name).__module__ == family.where


def test_a_tower_laid_out_as_in_an_earlier_release_is_refused():
    model = tower("vit")
    del model.layers
    with refused("ViTModel has no layers, unlike those of later releases of transformers", TypeError):
        reduce_tokens(model, "merge")
    model = tower("dinov2")
    del model.encoder.layer[1].attention.q_proj
    with refused("Dinov2Model has no encoder.layer.1.attention.q_proj, unlike those of later releases", TypeError):
        reduce_tokens(model, "merge")


@pytest.mark.parametrize("kind", OTHERS)
def test_a_mask_of_patches_is_refused(kind):
    reduced, x, mask = reduce_tokens(tower(kind), "merge", 0.5), images(), torch.ones(3, 16, dtype=torch.bool)
    with refused("interpolate_pos_encoding is of type Tensor: a True, False or None is needed", TypeError):
        reduced(x, mask)
    with refused("bool_masked_pos is no argument of a tower with fewer tokens", TypeError):
        reduced(x, bool_masked_pos=mask)
