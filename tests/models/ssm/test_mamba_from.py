"""Ours of every kind of Mamba that transformers' users hold: the same results, or one line that says what it is."""

import copy

import peft
import pytest
import torch
import transformers
from mambas import SIZES, exactly, theirs, tokens
from precision import SINGLE, assert_within
from refusals import refused
from torch.nn.utils import parametrizations

from lib.models.ssm.mamba import MambaBackbone, MambaLM, accelerate_transformers
from lib.models.ssm.mamba_weights import from_transformers


@pytest.fixture(scope="module")
def model():
    return theirs()


def test_a_model_without_a_head_is_our_backbone(model):
    x, body = tokens(), model.backbone
    found = from_transformers(body)
    assert type(found) is MambaBackbone
    with torch.no_grad():
        assert_within(found(x), body(x).last_hidden_state, 2 * SINGLE)
    untied = transformers.MambaModel(transformers.MambaConfig(**SIZES, tie_word_embeddings=False)).eval()
    with torch.no_grad():
        assert_within(from_transformers(untied)(x), untied(x).last_hidden_state, 2 * SINGLE)


def test_compiled_accelerated_and_frozen_models_are_what_they_hold(model):
    exact, x = exactly(model)(tokens()), tokens()
    assert_within(from_transformers(torch.compile(model))(x), exact, SINGLE)
    with accelerate_transformers():
        assert_within(from_transformers(model)(x), exact, SINGLE)
    frozen = copy.deepcopy(model).requires_grad_(False)
    assert_within(from_transformers(frozen)(x), exact, SINGLE)


def test_every_weight_keeps_its_dtype(model):
    mixed = copy.deepcopy(model).bfloat16()
    for layer in mixed.backbone.layers:
        layer.mixer.A_log.data = layer.mixer.A_log.data.float() + 1e-4
    found = from_transformers(mixed)
    assert found.backbone.embedding.weight.dtype == torch.bfloat16
    mixer = found.backbone.layers[0]["mixer"]
    assert torch.equal(mixer.A_log, mixed.backbone.layers[0].mixer.A_log)
    assert from_transformers(copy.deepcopy(model).half()).backbone.embedding.weight.dtype == torch.float16
    assert mixer.A_log.data_ptr() != mixed.backbone.layers[0].mixer.A_log.data_ptr()


def test_no_random_number_is_drawn(model):
    before = torch.get_rng_state()
    from_transformers(model)
    assert torch.equal(torch.get_rng_state(), before)


def tiny(kind: str):
    """A model of another family in transformers, or of no family."""
    small = {**SIZES, "num_hidden_layers": 1}
    if kind == "Mamba2ForCausalLM":
        sizes = {"num_heads": 8, "head_dim": 8, "n_groups": 1, "state_size": 4}
        return transformers.Mamba2ForCausalLM(transformers.Mamba2Config(**small, **sizes))
    if kind == "FalconMambaModel":
        return transformers.FalconMambaModel(transformers.FalconMambaConfig(**small))
    if kind == "JambaForCausalLM":
        attention = {"num_attention_heads": 2, "num_key_value_heads": 2, "intermediate_size": 8, "mamba_dt_rank": 2}
        return transformers.JambaForCausalLM(transformers.JambaConfig(**small, **attention, num_experts=2))
    return torch.nn.Linear(2, 2)


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("Mamba2ForCausalLM", "model_type = 'mamba2': only 'mamba' can be loaded"),
        ("FalconMambaModel", "model_type = 'falcon_mamba': only 'mamba' can be loaded"),
        ("JambaForCausalLM", "model_type = 'jamba': only 'mamba' can be loaded"),
        ("Linear", "model is a Linear: transformers' MambaForCausalLM or MambaModel is needed"),
    ],
)
def test_another_model_is_refused_by_name(kind, said):
    with refused(said, TypeError if kind == "Linear" else ValueError):
        from_transformers(tiny(kind))
    with refused("model is of type dict: a Mamba of transformers is needed", TypeError):
        from_transformers({})


def test_subclasses_and_our_own_are_refused(model):
    class Mine(transformers.MambaForCausalLM):
        def forward(self, *inputs, **options):
            return 2 * super().forward(*inputs, **options).logits

    with refused("model is a Mine: transformers' MambaForCausalLM or MambaModel is needed", TypeError):
        from_transformers(Mine(model.config))
    with refused("model is a MambaLM: ", TypeError):
        from_transformers(MambaLM(from_transformers(model).config))


@pytest.mark.limit(
    "ssm",
    "from_transformers of a Mamba with adapters of peft, or with layers that something else has replaced",
    "Only layers as transformers made them are known to mean the same. Merge adapters with merge_and_unload() first.",
)
@pytest.mark.parametrize("wrapped", [True, False])
def test_adapters_are_refused_until_they_are_merged(wrapped, model):
    adapted = peft.get_peft_model(copy.deepcopy(model), peft.LoraConfig(r=2, target_modules=["in_proj"]))
    with torch.no_grad():
        for name, weight in adapted.named_parameters():
            if "lora_B" in name:
                weight.fill_(0.1)
    inside = "backbone.layers.0.mixer.in_proj is a Linear: layers as transformers made them are needed"
    said = "model is a PeftModel: transformers' MambaForCausalLM or MambaModel is needed"
    with refused(said if wrapped else inside, TypeError):
        from_transformers(adapted if wrapped else adapted.get_base_model())
    merged = adapted.merge_and_unload()
    with torch.no_grad():
        assert_within(from_transformers(merged)(tokens()), merged(tokens()).logits, 2 * SINGLE)


def test_layers_that_were_changed_are_refused_by_name(model):
    changed = copy.deepcopy(model)
    changed.backbone.layers[1].mixer.act = torch.nn.GELU()
    with refused("backbone.layers.1.mixer.act is a GELU: layers as transformers made them are needed", TypeError):
        from_transformers(changed)
    changed = copy.deepcopy(model)
    parametrizations.weight_norm(changed.backbone.layers[0].mixer.out_proj)
    with refused("backbone.layers.0.mixer.out_proj is a ParametrizedLinear: ", TypeError):
        from_transformers(changed)
    changed = copy.deepcopy(model)
    changed.backbone.norm_f.variance_epsilon = 0.1
    with refused("backbone.norm_f.variance_epsilon = 0.1: 1e-05 is needed"):
        from_transformers(changed)


def test_a_configuration_that_no_longer_fits_is_refused(model):
    changed = copy.deepcopy(model)
    changed.config.use_bias = True
    with refused("these weights do not fit the model; missing: backbone.layers.0.mixer.in_proj.bias"):
        from_transformers(changed)
    with refused("these weights do not fit the model; without values: backbone.embedding.weight"):
        from_transformers(copy.deepcopy(model).to("meta"))
