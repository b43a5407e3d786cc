"""The same weights in transformers' Mamba and in ours, through memory and folders."""

import json
import re

import huggingface_hub
import pytest
import torch
import transformers
from mambas import OPTIONS, SIZES, exactly, gradients, ours, theirs, tokens
from precision import SINGLE, assert_within

from lib.models.lora.layers import add_lora, merge_lora
from lib.models.ssm.mamba_weights import (
    from_pretrained,
    from_transformers,
    load_transformers,
    save_pretrained,
    state_dict_from_transformers,
    state_dict_to_transformers,
    to_transformers,
)


@pytest.mark.parametrize("options", OPTIONS)
def test_their_weights_give_their_logits(options):
    model, x = theirs(**options), tokens()
    exact = exactly(model)(x)
    assert_within(model(x).logits, exact, SINGLE)
    assert_within(from_transformers(model)(x), exact, SINGLE)


@pytest.mark.parametrize("options", [{}, {"states": 5, "expand": 1, "kernel": 3, "rank": 3}, {"bias": True}])
def test_our_weights_give_our_logits(options):
    model, x = ours(**options), tokens()
    exact = exactly(model)(x)
    assert_within(to_transformers(model)(x).logits, exact, SINGLE)
    assert_within(model(x), exact, SINGLE)


def test_gradients_of_a_loss_are_theirs():
    model, x = theirs(), tokens()
    same, exact = from_transformers(model), exactly(model)
    theirs_ = gradients(model, x, model(x).logits)  # a tied head is listed once, as the embedding
    found, wanted = (state_dict_to_transformers(gradients(one, x, one(x))) for one in (same, exact))
    assert theirs_.keys() == wanted.keys() - {"lm_head.weight"}
    for name, gradient in theirs_.items():
        assert_within(gradient, wanted[name], SINGLE)
        assert_within(found[name], wanted[name], SINGLE)


def test_half_precision_is_near_theirs():
    model, x = theirs(residual_in_fp32=False).bfloat16(), tokens()
    same = from_transformers(model)
    assert same.backbone.embedding.weight.dtype == torch.bfloat16
    assert_within(same(x).float(), model(x).logits, 0.02)


def test_greedy_generation_is_theirs():
    model, x = theirs(), tokens(5)
    expected = model.generate(x, max_new_tokens=5, do_sample=False, pad_token_id=0)
    assert torch.equal(from_transformers(model).generate(x, 5), expected)


def test_names_map_one_to_one_and_back():
    there, here = theirs().state_dict(), ours().state_dict()
    assert state_dict_from_transformers(there).keys() == here.keys()
    assert state_dict_to_transformers(here).keys() == there.keys()
    for back, start in (
        (state_dict_to_transformers(state_dict_from_transformers(there)), there),
        (state_dict_from_transformers(state_dict_to_transformers(here)), here),
    ):
        assert back.keys() == start.keys()
        assert all(torch.equal(back[name], start[name]) for name in start)


def test_weights_are_copied_and_the_mode_is_kept():
    model, x = theirs(), tokens()
    copy = to_transformers(from_transformers(model))
    expected = copy(x).logits
    with torch.no_grad():
        for weight in model.parameters():
            weight.zero_()
    assert torch.equal(copy(x).logits, expected)
    assert not copy.training
    assert from_transformers(copy.train()).training


def test_to_transformers_leaves_the_global_seed_alone():
    model, before = ours(), torch.get_rng_state()
    to_transformers(model)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_transformers_loads_what_we_save(dtype, tmp_path):
    model, x = ours(kernel=3, rank=4).to(dtype), tokens()
    save_pretrained(model, tmp_path / "new", eos_token_id=7)
    loaded, report = transformers.MambaForCausalLM.from_pretrained(tmp_path / "new", output_loading_info=True)
    assert not any(report[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    assert (loaded.config.eos_token_id, loaded.config.pad_token_id, loaded.dtype) == (7, None, dtype)
    assert_within(loaded(x).logits, exactly(model)(x), SINGLE if dtype == torch.float32 else 0.02)


@pytest.mark.parametrize("shards", [False, True])
def test_we_load_what_transformers_saves(shards, tmp_path):
    model, x = theirs(conv_kernel=3), tokens()
    model.save_pretrained(tmp_path, max_shard_size="10kB" if shards else "1GB")
    assert (len(list(tmp_path.glob("*.safetensors"))) > 1) == shards
    assert_within(from_pretrained(tmp_path)(x), exactly(model)(x), SINGLE)


def test_we_load_what_we_save(tmp_path):
    model, x = ours(), tokens()
    save_pretrained(model, tmp_path)
    loaded = from_pretrained(str(tmp_path), backend="ref")
    assert not loaded.training
    assert loaded.config.backend == "ref"
    assert_within(loaded(x), exactly(model)(x), SINGLE)


def test_missing_unknown_and_misshapen_weights_are_listed():
    weights = theirs().state_dict()
    del weights["backbone.layers.1.mixer.D"]
    weights["backbone.layers.0.mixer.E"] = torch.ones(1)
    weights["backbone.norm_f.weight"] = torch.ones(31)
    listed = (
        "missing: backbone.layers.1.mixer.D; unknown: backbone.layers.0.mixer.E; "
        "of another shape: backbone.norm.weight (31,) for (32,)"
    )
    with pytest.raises(ValueError, match=re.escape(listed)):
        load_transformers(ours(), weights)


def test_a_head_of_its_own_is_refused():
    weights = {name: weight.clone() for name, weight in theirs().state_dict().items()}
    weights["lm_head.weight"] += 1
    with pytest.raises(ValueError, match=r"differs from backbone\.embeddings\.weight: only a head tied"):
        load_transformers(ours(), weights)
    with pytest.raises(ValueError, match="tie_word_embeddings = False: only True"):
        from_transformers(theirs(tie_word_embeddings=False))


def test_what_ours_does_not_compute_is_refused():
    with pytest.raises(ValueError, match="hidden_act = 'gelu': only 'silu' or 'swish'"):
        from_transformers(theirs(hidden_act="gelu"))
    other = transformers.FalconMambaForCausalLM(transformers.FalconMambaConfig(**SIZES))
    with pytest.raises(ValueError, match="model_type = 'falcon_mamba': only 'mamba'"):
        from_transformers(other)


@pytest.mark.limit(
    "ssm",
    "Saving or handing over a Mamba whose layers have adapters, or a norm on a weight",
    "What was added would not be read again. Merge adapters first, or save them by save_lora.",
)
def test_weights_that_something_has_added_are_named_and_nothing_is_written(tmp_path):
    adapted, normed = ours(), ours()
    add_lora(adapted, r".*in_proj", rank=2, alpha=4.0)
    torch.nn.utils.parametrizations.weight_norm(normed.backbone.layers[0].mixer.in_proj)
    for model in (adapted, normed):
        for hand_over in (to_transformers, lambda model: save_pretrained(model, tmp_path / "model")):
            with pytest.raises(ValueError, match=r"in_proj\S* is not a weight of a MambaLM: merge adapters"):
                hand_over(model)
    assert not (tmp_path / "model").exists()
    merge_lora(adapted)
    assert to_transformers(adapted).lm_head.weight.shape == adapted.backbone.embedding.weight.shape


def test_a_folder_without_a_model_is_refused_with_what_it_holds(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"holds nothing: config.json and model.safetensors are needed"):
        from_pretrained(tmp_path)
    save_pretrained(ours(), tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"d_model": 32}))
    with pytest.raises(ValueError, match="model_type = None, 'mamba' in transformers' layout"):
        from_pretrained(tmp_path)
    (tmp_path / "config.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"holds model.safetensors: config.json"):
        from_pretrained(tmp_path)


@pytest.mark.parametrize("name", ["state-spaces/mamba-130m-hf", "no/such/name", "no such name"])
def test_without_a_network_one_line_says_what_was_tried_and_what_works(name, monkeypatch, tmp_path):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(FileNotFoundError) as caught:
        from_pretrained(name)
    message = str(caught.value)
    assert message.startswith(f"{name!r} is no folder, and the Hugging Face hub gave no model of that name")
    assert "Offline, a folder works that holds config.json and model.safetensors" in message
    assert "\n" not in message


def test_a_hub_name_is_fetched_by_the_hubs_own_client(monkeypatch, tmp_path):
    model, asked = ours(), []
    save_pretrained(model, tmp_path)

    def snapshot_download(name, allow_patterns):
        asked.append((name, allow_patterns))
        return str(tmp_path)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    assert_within(from_pretrained("some/mamba")(tokens()), exactly(model)(tokens()), SINGLE)
    assert asked == [("some/mamba", ["config.json", "model*.safetensors*"])]
