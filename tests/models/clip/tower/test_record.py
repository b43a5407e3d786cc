"""A reduced tower takes the tower's call with its options, and gives its output, in the models that it stands in."""

import pytest
import torch
import transformers
from precision import assert_within
from reductions import EXACT, REDUCTIONS, SEEN
from refusals import refused
from towers import KINDS, images, tower

from lib.models.clip.reduction import reduce_tokens
from lib.models.clip.reduction.original import DEFECTS, OriginalPruning

ALL = {"output_hidden_states": True, "output_attentions": True}
TEXT = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "vocab_size": 20}


def same(found, wanted):
    if isinstance(wanted, tuple):
        return len(found) == len(wanted) and all(map(same, found, wanted))
    return found is wanted if wanted is None else torch.equal(found, wanted)


@pytest.mark.parametrize(("kind", "method"), SEEN)
@pytest.mark.parametrize("implementation", ["eager", "sdpa"])
def test_with_all_tokens_every_option_gives_what_the_tower_gives(kind, method, implementation):
    model, x = tower(kind), images()
    model.set_attn_implementation(implementation)
    reduced = reduce_tokens(model, method)
    for options in (
        ALL,
        {"output_hidden_states": [-2, 0, 7, -4]},
        {"output_hidden_states": 1},
        {"output_hidden_states": -9},
    ):
        found, wanted = reduced(x, **options), model(x, **options)
        assert type(found) is type(wanted)
        assert list(found) == list(wanted)
        assert same(found.to_tuple(), wanted.to_tuple())
        assert same(reduced(x, return_dict=False, **options), model(x, return_dict=False, **options))


def test_mended_the_original_form_has_the_towers_states_and_attentions():
    model, x = tower(), images()
    model.set_attn_implementation("eager")
    found, wanted = OriginalPruning(model, mended=DEFECTS)(x, **ALL), model(x, **ALL)
    for name in ("hidden_states", "attentions"):
        for one, other in zip(found[name], wanted[name], strict=True):
            assert_within(one, other, 1e-10)


def test_what_a_call_leaves_open_the_configuration_says():
    model, x = tower(), images()
    model.set_attn_implementation("eager")
    reduced = reduce_tokens(model, "merge", 0.5)
    assert reduced(x).hidden_states is None
    model.config.output_hidden_states = model.config.output_attentions = True
    assert len(reduced(x).hidden_states) == 1 + len(reduced(x).attentions) == 4
    assert reduced(x, output_hidden_states=False, output_attentions=None).hidden_states is None
    model.config.return_dict = False
    assert isinstance(reduced(x), tuple)


@pytest.mark.parametrize("method", EXACT)
def test_hidden_states_hold_the_tokens_that_there_are(method):
    reduced, x = reduce_tokens(tower(), method, 0.5), images(1)
    output, tokens = reduced(x, output_hidden_states=True), reduced.traced(x)[1]
    counts = [state.shape[1] for state in output.hidden_states]
    seen = reduced.seen(16, tokens.count)
    assert counts == [seen[0][0], *(after for _, after in seen)]
    assert torch.equal(output.hidden_states[-1], output.last_hidden_state)
    alone = reduce_tokens(tower(), method, 0.5, class_row_only=True)(x, output_hidden_states=True)
    assert alone.hidden_states[-1].shape[1] == 1


@pytest.mark.parametrize("method", [name for name in EXACT if name != "adaptive"])
def test_attentions_are_shares_of_the_tokens_before_each_cut(method):
    model, x = tower(dtype=torch.float32), images(dtype=torch.float32)
    model.set_attn_implementation("eager")
    reduced = reduce_tokens(model, method, 0.5)
    attentions = reduced(x, **ALL).attentions
    assert [one.shape for one in attentions] == [(3, 4, before, before) for before, _ in reduced.seen(16)]
    for one in attentions:
        assert_within(one.sum(-1), torch.ones(one.shape[:-1]), 1e-5)
    assert torch.equal(reduced(x).pooler_output, reduced(x, **ALL).pooler_output)


@pytest.mark.parametrize("method", REDUCTIONS)
def test_an_argument_that_a_tower_does_not_read_is_refused_by_name(method):
    reduced, x = reduce_tokens(tower(), method, 0.5), images()
    for name, value in {
        "attention_mask": torch.ones(3, 17),
        "bool_masked_pos": torch.ones(3, 16),
        "is_causal": True,
    }.items():
        with refused(f"{name} is no argument of a tower with fewer tokens: it knows pixel_values, interp", TypeError):
            reduced(x, **{name: value})
    with refused("pixel_values is of type NoneType: a tensor is needed", TypeError):
        reduced()
    reduced.config.is_causal = True  # read by the tower where a call says nothing
    with refused("is_causal is no argument of a tower with fewer tokens", TypeError):
        reduced(x)
    del reduced.config.is_causal
    wanted = reduced(x).pooler_output  # what is not asked for, or what trainers hand on, changes nothing
    assert torch.equal(reduced(pixel_values=x, attention_mask=None, num_items_in_batch=3).pooler_output, wanted)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
@pytest.mark.parametrize(("kind", "method"), SEEN)
def test_pixels_of_any_precision_are_taken_in_the_towers_own(kind, method, dtype):
    model = tower(kind, dtype=torch.float32, num_hidden_layers=2)
    x = images().mul(4).round() / 4  # a number of every precision
    found = reduce_tokens(model, method, 0.5)(x.to(dtype))
    assert torch.equal(found.pooler_output, reduce_tokens(model, method, 0.5)(x.float()).pooler_output)
    assert found.pooler_output.dtype == torch.float32


def llava(kind="clip"):
    eyes = tower(kind, dtype=torch.float32)
    config = transformers.LlavaConfig(
        vision_config=eyes.config,
        text_config=transformers.LlamaConfig(**TEXT),
        image_token_index=19,
        vision_feature_select_strategy="default" if kind == "clip" else "full",
    )
    torch.manual_seed(0)
    model = transformers.LlavaForConditionalGeneration(config).eval()
    model.model.vision_tower = eyes
    return model


def ask(model, count, **options):
    """A model's answer to two images and a text, an image standing for so many tokens."""
    ids = torch.tensor([[1, *[19] * count, 2, 3]] * 2)
    return model(input_ids=ids, pixel_values=images(2, dtype=torch.float32), **options)


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_llava_sees_through_a_reduced_tower(kind):
    model = llava(kind)
    eyes, wanted = model.model.vision_tower, ask(model, 16).logits
    model.model.vision_tower = reduce_tokens(eyes, "merge", 1.0)
    assert torch.equal(ask(model, 16).logits, wanted)
    model.model.vision_tower = reduce_tokens(eyes, "merge", 0.5, dense=True)
    assert ask(model, 16).logits.shape == wanted.shape
    few = reduce_tokens(eyes, "merge", 0.5, schedule=[8, 0, 0])
    model.model.vision_tower = few
    with pytest.raises(ValueError, match="Image features and image tokens do not match, tokens: 32"):
        ask(model, 16)
    found = few(images(2, dtype=torch.float32), output_hidden_states=True).hidden_states[-2][:, kind == "clip" :]
    assert_within(
        ask(model, 8).image_hidden_states, model.model.multi_modal_projector(found).flatten(0, 1), 1e-5
    )  # as many placeholders as tokens that remain


@torch.no_grad()
def test_a_model_around_it_does_not_take_its_layers_for_its_own():
    model = llava()
    eyes = model.model.vision_tower
    assert len(eyes(images(1, dtype=torch.float32), output_hidden_states=True).hidden_states) == 4  # installs hooks
    model.model.vision_tower = reduce_tokens(eyes, "merge", 0.5, dense=True)
    states = ask(model, 16, output_hidden_states=True).hidden_states
    assert [state.shape for state in states] == [(2, 19, 16)] * 3
    assert len(eyes(images(1, dtype=torch.float32), output_hidden_states=True).hidden_states) == 4  # and none twice


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_models_of_images_and_texts_take_it_as_their_own(kind):
    eyes = tower(kind, dtype=torch.float32)
    config = {"clip": transformers.CLIPConfig, "siglip": transformers.SiglipConfig}[kind](
        vision_config=eyes.config.to_dict(), text_config={**TEXT, "hidden_size": 32, "projection_dim": 32}
    )
    model = transformers.AutoModel.from_config(config).eval()
    model.vision_model = eyes
    inputs = {"input_ids": torch.arange(12).view(2, 6), "pixel_values": images(2, dtype=torch.float32)}
    wanted = model(**inputs, output_hidden_states=True, return_loss=True)
    model.vision_model = reduce_tokens(eyes, "merge_in_rounds")
    found = model(**inputs, output_hidden_states=True, return_loss=True)
    assert torch.equal(found.logits_per_image, wanted.logits_per_image)
    assert same(found.vision_model_output.hidden_states, wanted.vision_model_output.hidden_states)
    assert all(isinstance(one, torch.Tensor) for one in model(**inputs, return_dict=False)[:4])
