"""Situations that users of transformers' vision towers reported, met with towers that have fewer tokens."""

import copy

import peft
import pytest
import torch
import transformers
from precision import SINGLE, assert_within
from reductions import EXACT
from refusals import refused
from towers import KINDS, images, tower

from lib.models.clip.reduction import reduce_tokens
from lib.models.clip.tokens import Tokens
from lib.models.clip.tower.attention import pool

TRANSFORMERS = "huggingface/transformers"
SMALL = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}


def whole(kind="clip"):
    """A model of images and texts with that tower."""
    eyes = tower(kind, dtype=torch.float32)
    config = {"clip": transformers.CLIPConfig, "siglip": transformers.SiglipConfig}[kind](
        vision_config=eyes.config.to_dict(), text_config={**SMALL, "vocab_size": 20}
    )
    model = transformers.AutoModel.from_config(config).eval()
    model.vision_model = eyes
    return model


@pytest.mark.reported(TRANSFORMERS, 43618)
@pytest.mark.parametrize("method", EXACT)
def test_attentions_are_filled_where_they_are_asked_for(method):
    """Since version 5.0.0 the vision tower of CLIP returned no attentions, eager attention or not."""
    model = whole()
    model.set_attn_implementation("eager")
    model.vision_model = reduce_tokens(model.vision_model, method, 0.75)
    attentions = model.vision_model(pixel_values=images(dtype=torch.float32), output_attentions=True).attentions
    assert len(attentions) == 3
    for one in attentions:
        assert_within(one.sum(-1), torch.ones(one.shape[:-1]), 1e-5)


@pytest.mark.reported(TRANSFORMERS, 33993)
@pytest.mark.parametrize("kind", KINDS)
def test_interpolation_that_is_not_needed_changes_nothing(kind):
    """SigLIP failed on images of its own size when positions were to be interpolated."""
    model, x = tower(kind), images()
    for keep in (1.0, 0.5):
        reduced = reduce_tokens(model, "merge", keep)
        assert torch.equal(reduced(x, interpolate_pos_encoding=True)[1], reduced(x)[1])


@pytest.mark.reported(TRANSFORMERS, 30579)
@pytest.mark.parametrize("kind", KINDS)
def test_images_of_another_size_are_what_they_are_to_the_tower(kind):
    """Many towers took one size of images only."""
    model, x = tower(kind), torch.cat([images(side=48), images(side=48, seed=2)], dim=3)
    found, wanted = (one(x, interpolate_pos_encoding=True) for one in (reduce_tokens(model, "merge"), model))
    assert torch.equal(found.pooler_output, wanted.pooler_output)
    with pytest.raises((ValueError, RuntimeError), match=r"doesn't match|must match"):
        reduce_tokens(model, "merge")(x)


def llava(kind):
    eyes = tower(kind, dtype=torch.float32)
    config = transformers.LlavaConfig(
        vision_config=eyes.config,
        text_config=transformers.LlamaConfig(**SMALL, vocab_size=20),
        image_token_index=19,
        vision_feature_select_strategy="default" if kind == "clip" else "full",
    )
    model = transformers.LlavaForConditionalGeneration(config).eval()
    model.model.vision_tower = eyes
    return model


def placeholders(count):
    return torch.tensor([[1, *[19] * count, 2]])


@pytest.mark.reported(TRANSFORMERS, 36002)
@torch.no_grad()
def test_a_language_model_that_expects_all_tokens_gets_them_or_says_so():
    """Images gave another number of features than the text had places for them."""
    model, x = llava("clip"), images(1, dtype=torch.float32)
    eyes = model.model.vision_tower
    model.model.vision_tower = reduce_tokens(eyes, "merge", 0.5)
    with pytest.raises(ValueError, match="Image features and image tokens do not match, tokens: 16"):
        model(input_ids=placeholders(16), pixel_values=x)
    seen = reduce_tokens(eyes, "merge", 0.5)(x, output_hidden_states=True).hidden_states[-2].shape[1] - 1
    assert model(input_ids=placeholders(seen), pixel_values=x).logits.isfinite().all()
    model.model.vision_tower = reduce_tokens(eyes, "merge", 0.5, dense=True)
    assert model(input_ids=placeholders(16), pixel_values=x).logits.isfinite().all()


@pytest.mark.reported(TRANSFORMERS, 34447)
@torch.no_grad()
def test_a_tower_without_a_class_token_has_none_to_be_cut_off():
    """With SigLIP, 729 places for an image met 728 features: a patch was taken for a class token."""
    model, x = llava("siglip"), images(1, dtype=torch.float32)
    wanted = model(input_ids=placeholders(16), pixel_values=x).logits
    model.model.vision_tower = reduce_tokens(model.model.vision_tower, "merge")
    assert torch.equal(model(input_ids=placeholders(16), pixel_values=x).logits, wanted)


@pytest.mark.reported(TRANSFORMERS, 48081)
def test_hidden_states_may_be_asked_for_by_number():
    """Models that read a few layers had to keep the states of all."""
    reduced, x = reduce_tokens(tower(), "merge", 0.5), images()
    states = reduced(x, output_hidden_states=True).hidden_states
    some = reduced(x, output_hidden_states=[1, -1]).hidden_states
    assert [one is None for one in some] == [True, False, True, False]
    assert torch.equal(some[1], states[1])
    assert torch.equal(some[3], states[3])


@pytest.mark.reported(TRANSFORMERS, 18853)
@pytest.mark.parametrize("kind", KINDS)
def test_a_tower_is_loaded_from_the_folder_of_the_whole_model(kind, tmp_path):
    """A vision tower that was loaded from a whole model's folder had random weights: names did not match."""
    model, x = whole(kind), images(dtype=torch.float32)
    eyes = model.vision_model
    model.vision_model = reduce_tokens(eyes, "merge", 0.5)
    model.save_pretrained(tmp_path)
    loaded = type(eyes).from_pretrained(tmp_path)
    assert_within(loaded(x).pooler_output, eyes(x).pooler_output, SINGLE)
    assert_within(reduce_tokens(loaded, "merge", 0.5)(x)[1], model.vision_model(x)[1], SINGLE)


@pytest.mark.reported(TRANSFORMERS, 15789)
def test_checkpointing_of_the_whole_model_reaches_the_layers_where_tokens_merge():
    """Gradient checkpointing was without effect, or failed, in CLIP."""
    model = whole()
    model.vision_model = reduce_tokens(model.vision_model, "merge", 0.5)
    model.train().gradient_checkpointing_enable()
    seen = []
    for layer in model.vision_model.encoder.layers:
        layer.mlp.fc1.register_forward_hook(lambda *_: seen.append(torch.is_grad_enabled()))
    model.get_image_features(images(dtype=torch.float32)).pooler_output.sum().backward()
    assert len(seen) == 6  # of each layer once, and once again in the backward pass
    assert all(layer.mlp.fc1.weight.grad.any() for layer in model.vision_model.encoder.layers)


@pytest.mark.reported(TRANSFORMERS, 41993)
def test_adapters_learn_behind_a_frozen_entry_with_checkpointing():
    """With the entry of a vision tower frozen, adapters behind it got no gradients under reentrant checkpointing."""
    adapted = peft.get_peft_model(
        reduce_tokens(tower(), "merge", 0.5), peft.LoraConfig(target_modules=["q_proj"], init_lora_weights=False)
    )
    plain = copy.deepcopy(adapted).train()
    adapted.train().gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": True})
    adapted.enable_input_require_grads()
    for model in (adapted, plain):
        model(pixel_values=images()).pooler_output.square().sum().backward()
    learned = [weight for weight in adapted.parameters() if weight.requires_grad]
    assert learned
    for weight, other in zip(learned, (one for one in plain.parameters() if one.requires_grad), strict=True):
        assert_within(weight.grad, other.grad, 1e-10)


@pytest.mark.reported("unslothai/unsloth-zoo", 931)
def test_pooling_in_half_precision_does_not_overflow():
    """A pooler of a vision tower multiplied in float16 beyond its largest number, and the loss was NaN."""
    head = tower("siglip").head.half()
    most = torch.finfo(torch.float16).max
    x = torch.full((1, 4, 32), 0.25 * most).half() * torch.tensor([1, -1, 1, 1]).half().view(1, 4, 1)
    tokens = Tokens.of(x, 0).summarised(torch.tensor([[1]]))
    assert tokens.x[0, 1].tolist() == x[0, 0].tolist()
    small = (x / most).half()
    assert pool(head, small, torch.tensor([[1.0, 300.0, 5.0, 2.0]])).isfinite().all()


@pytest.mark.reported(TRANSFORMERS, 31940)
@pytest.mark.parametrize("kind", KINDS)
def test_eager_and_fused_attention_agree_where_tokens_merge(kind):
    """Implementations of attention were to be exchanged without a change of results."""
    model, x = tower(kind), images()
    found = []
    for implementation in ("eager", "sdpa"):
        model.set_attn_implementation(implementation)
        found.append(reduce_tokens(model, "merge", 0.5)(x, output_attentions=True).pooler_output)
    assert_within(*found, 1e-10)


@pytest.mark.reported("foundation-model-stack/foundation-model-stack", 405)
def test_the_pooling_head_is_the_towers_own_module_where_nothing_has_merged():
    """SigLIP's pooling head has an attention of another kind than its layers."""
    head, x = tower("siglip").head, images(2).flatten(1)[:, : 16 * 32].unflatten(1, (16, 32))
    assert torch.equal(pool(head, x), head(x))
    assert_within(pool(head, x, torch.ones(2, 16).double()), head(x), 1e-10)


@pytest.mark.reported("mlfoundations/open_clip", 1043)
def test_a_model_that_is_no_tower_of_transformers_is_refused():
    """Whether towers of another library may stand where those of transformers do."""
    with refused("Sequential is none that is known: a vision tower of transformers", TypeError):
        reduce_tokens(torch.nn.Sequential(torch.nn.Conv2d(3, 8, 8)), "norm")
