"""A reduced tower is a module of transformers in what users do with one: copies, files, precision, adapters."""

import copy
import io
import pickle

import peft
import pytest
import torch
import transformers
from precision import SINGLE, assert_within
from reductions import REDUCTIONS
from refusals import refused
from torch import nn
from towers import KINDS, images, tower

from lib.models.clip.reduction import Reduction, reduce_tokens
from lib.models.clip.reduction.original import OriginalPruning

SMALL = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}


def same(one, other):
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


def through_pickle(module):
    return pickle.loads(pickle.dumps(module))


def through_a_file(module):
    file = io.BytesIO()
    torch.save(module, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


@pytest.mark.parametrize("method", REDUCTIONS)
def test_it_is_of_the_towers_class_and_has_its_weights_under_their_names(method):
    model = tower()
    reduced = reduce_tokens(model, method, 0.5)
    assert isinstance(reduced, transformers.CLIPVisionModel)
    assert isinstance(reduced, Reduction)
    assert reduced.model is model
    assert [name for name, _ in reduced.named_modules()] == [name for name, _ in model.named_modules()]
    assert all(one is other for one, other in zip(reduced.parameters(), model.parameters(), strict=True))
    same(reduced.state_dict(), model.state_dict())
    assert str(reduced).startswith(f"{type(reduced).joined[0].__name__} of CLIPVisionModel(")
    reduced.load_state_dict({name: torch.zeros_like(weight) for name, weight in model.state_dict().items()})
    assert not any(weight.any() for weight in model.parameters())


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_asked_of_a_model_of_transformers_is_answered(kind):
    model = tower(kind, dtype=torch.float32)
    reduced = reduce_tokens(model, "merge", 0.5)
    for name in ("device", "dtype", "config", "main_input_name", "base_model_prefix", "config_class", "name_or_path"):
        assert getattr(reduced, name) == getattr(model, name)
    for name in ("supports_gradient_checkpointing", "_no_split_modules", "all_tied_weights_keys", "framework"):
        assert getattr(reduced, name, None) == getattr(model, name, None)
    for name in ("num_parameters", "get_memory_footprint", "get_input_embeddings", "can_generate", "is_custom_code"):
        assert getattr(reduced, name)() == getattr(model, name)()
    reduced.set_attn_implementation("eager")
    assert model.config._attn_implementation == "eager"
    reduced.requires_grad_(False)
    assert not any(weight.requires_grad for weight in model.parameters())
    assert reduced.train().training
    assert model.encoder.layers[0].training
    assert not reduced.eval().training
    assert reduced.half().dtype == torch.float16
    assert reduced.to(torch.float64)(images()).pooler_output.dtype == torch.float64
    reduced.enable_input_require_grads()
    assert reduced(images()).pooler_output.requires_grad
    assert reduced.to("meta").device.type == "meta"


@pytest.mark.parametrize("copied", [copy.deepcopy, through_pickle, through_a_file])
@pytest.mark.parametrize("method", REDUCTIONS)
def test_a_copy_is_reduced_too_and_stands_alone(method, copied):
    reduced, x = reduce_tokens(tower(), method, 0.5), images()
    wanted, other = reduced(x).pooler_output, copied(reduced)
    assert type(other) is type(reduced)
    assert torch.equal(other(x).pooler_output, wanted)
    assert other.model.encoder is other.encoder
    nn.init.zeros_(other.encoder.layers[0].mlp.fc1.weight)
    assert torch.equal(reduced(x).pooler_output, wanted)
    assert not torch.equal(other(x).pooler_output, wanted)


@pytest.mark.parametrize("kind", KINDS)
def test_what_it_saves_is_the_tower_to_be_reduced_again(kind, tmp_path):
    model, x = tower(kind, dtype=torch.float32), images(dtype=torch.float32)
    reduced = reduce_tokens(model, "merge", 0.5)
    for name, one in (("reduced", reduced), ("whole", model)):
        one.save_pretrained(tmp_path / name)
    for file in ("config.json", "model.safetensors"):
        assert (tmp_path / "reduced" / file).read_bytes() == (tmp_path / "whole" / file).read_bytes()
    loaded = type(model).from_pretrained(tmp_path / "reduced")
    same(loaded.state_dict(), model.state_dict())
    assert_within(reduce_tokens(loaded, "merge", 0.5)(x)[1], reduced(x)[1], SINGLE)  # weights lie elsewhere in memory
    with refused(f"{type(model.config).__name__} is none that is known: a vision tower", TypeError):
        type(reduced).from_pretrained(tmp_path / "reduced")


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_with_a_reduced_tower_is_saved_as_it_would_be_with_the_tower(kind, tmp_path):
    config = {"clip": transformers.CLIPConfig, "siglip": transformers.SiglipConfig}[kind](
        vision_config={**SMALL, "image_size": 32, "patch_size": 8}, text_config={**SMALL, "vocab_size": 9}
    )
    model = transformers.AutoModel.from_config(config)
    model.save_pretrained(tmp_path / "whole")
    eyes = model.vision_model
    model.vision_model = reduce_tokens(eyes, "merge", 0.5)
    model.save_pretrained(tmp_path / "reduced")
    for file in ("config.json", "model.safetensors"):
        assert (tmp_path / "reduced" / file).read_bytes() == (tmp_path / "whole" / file).read_bytes()
    same(type(model).from_pretrained(tmp_path / "reduced").vision_model.state_dict(), eyes.state_dict())
    model.set_attn_implementation("eager")
    assert model.vision_model.config._attn_implementation == "eager"
    found = model.vision_model(images(1, dtype=torch.float32), output_attentions=True)
    assert len(found.attentions) == 2


def test_its_parts_are_seen_where_they_are_replaced():
    model, x = tower(), images()
    reduced = reduce_tokens(model, "norm", 0.5)
    reduced.post_layernorm = nn.Identity()
    assert isinstance(model.post_layernorm, nn.Identity)
    model.encoder.layers = model.encoder.layers[:2]
    output = reduced(x, output_hidden_states=True)
    assert len(output.hidden_states) == 3
    assert torch.equal(output.pooler_output, output.hidden_states[-1][:, 0])


def test_a_replica_on_another_device_computes_with_its_own_parts():
    # As DataParallel makes them: the same module, with copies of its parts.
    reduced, x = reduce_tokens(tower(), "merge", 0.5), images()
    replica = reduced._replicate_for_data_parallel()
    for name, part in reduced.named_children():
        setattr(replica, name, copy.deepcopy(part))
    assert torch.equal(replica(x).pooler_output, reduced(x).pooler_output)
    nn.init.zeros_(replica.post_layernorm.weight)
    assert torch.equal(replica(x).pooler_output, reduced.post_layernorm.bias.expand(3, -1))
    assert not torch.equal(reduced(x).pooler_output, replica(x).pooler_output)


def test_a_tower_that_was_compiled_in_place_is_not_what_its_reduced_form_runs():
    model, x = tower(), images()
    wanted = reduce_tokens(model, "merge", 0.5)(x).last_hidden_state
    model.compile(backend="eager")
    assert torch.equal(reduce_tokens(model, "merge", 0.5)(x).last_hidden_state, wanted)


@pytest.mark.parametrize("method", [name for name in REDUCTIONS if name != "random"])
def test_adapters_of_peft_take_part_where_tokens_merge(method):
    model, x = tower(), images()
    before = reduce_tokens(model, method, 0.5)(x).pooler_output
    adapted = peft.get_peft_model(
        reduce_tokens(model, method, 0.5),
        peft.LoraConfig(target_modules=["q_proj", "k_proj", "v_proj", "out_proj", "fc1"], init_lora_weights=False),
    )
    found = adapted(x).pooler_output
    assert (found - before).abs().max() > 1e-3
    merged = adapted.merge_and_unload()
    assert isinstance(merged, Reduction)
    torch.testing.assert_close(merged(x).pooler_output, found)


def test_a_class_is_made_once_and_what_is_refused_leaves_none():
    model = tower()
    assert type(reduce_tokens(model, "merge")) is type(reduce_tokens(tower(), "merge", 0.5))
    before = dict(vars(model))
    for method, options in (("merge", {"keep": 2.0}), ("merge", {"schedule": [99, 0, 0]}), ("norm", {"layer": 9})):
        with pytest.raises(ValueError, match=r"is needed|at most"):
            reduce_tokens(model, method, **options)
    with pytest.raises(ValueError, match="mended = 'none'"):
        OriginalPruning(model, 0.5, ["none"])
    assert vars(model) == before
