"""The same weights in transformers' Mamba and in ours, through memory and folders; our scan inside its models."""

import json
import re
import sys

import huggingface_hub
import pytest
import torch
import transformers
from torch.nn import functional as F
from torch.testing import assert_close
from transformers.models.falcon_mamba import modeling_falcon_mamba
from transformers.models.mamba import modeling_mamba

from lib.models import mamba_weights
from lib.models.mamba import MambaConfig, MambaLM, accelerate_transformers
from lib.models.mamba_weights import (
    from_pretrained,
    from_transformers,
    load_transformers,
    save_pretrained,
    state_dict_from_transformers,
    state_dict_to_transformers,
    to_transformers,
)

SIZES = {"vocab_size": 50, "hidden_size": 32, "num_hidden_layers": 2}
OPTIONS = [
    {},
    {"state_size": 5, "expand": 1, "conv_kernel": 3, "time_step_rank": 3},
    {"use_bias": True, "use_conv_bias": False, "layer_norm_epsilon": 1e-3},
]
KEPT = {"eos_token_id": None, "pad_token_id": None, "bos_token_id": None}


def stirred(model, seed=0):
    """All weights away from their start, so that none that is mixed up goes unnoticed."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(torch.empty_like(weight).normal_(std=0.1, generator=generator))
    return model.eval()


def theirs(**options):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return stirred(transformers.MambaForCausalLM(transformers.MambaConfig(**SIZES | KEPT | options)))


def ours(**options):
    config = MambaConfig(**{"dim": 32, "layers": 2, "vocabulary": 50} | options)
    return stirred(MambaLM(config, generator=torch.Generator().manual_seed(0)))


def tokens(length=13):
    return torch.randint(50, (2, length), generator=torch.Generator().manual_seed(1))


def assert_near(ours, theirs, tolerance=1e-5):
    """Relative to the largest value."""
    assert ours.shape == theirs.shape
    assert (ours - theirs).abs().max() <= tolerance * theirs.abs().max()


def gradients(model, x, logits):
    loss = F.cross_entropy(logits[:, :-1].flatten(0, 1), x[:, 1:].flatten())
    names, weights = zip(*model.named_parameters(), strict=True)
    return dict(zip(names, torch.autograd.grad(loss, weights), strict=True))


@pytest.mark.parametrize("options", OPTIONS)
def test_their_weights_give_their_logits(options):
    model, x = theirs(**options), tokens()
    assert_near(from_transformers(model)(x), model(x).logits)


@pytest.mark.parametrize("options", [{}, {"states": 5, "expand": 1, "kernel": 3, "rank": 3}, {"bias": True}])
def test_our_weights_give_our_logits(options):
    model, x = ours(**options), tokens()
    assert_near(to_transformers(model)(x).logits, model(x))


def test_gradients_of_a_loss_are_theirs():
    model, x = theirs(), tokens()
    same = from_transformers(model)
    expected = gradients(model, x, model(x).logits)  # a tied head is listed once, as the embedding
    found = state_dict_to_transformers(gradients(same, x, same(x)))
    assert expected.keys() == found.keys() - {"lm_head.weight"}
    for name, gradient in expected.items():
        assert_near(found[name], gradient)


def test_half_precision_is_near_theirs():
    model, x = theirs(residual_in_fp32=False).bfloat16(), tokens()
    same = from_transformers(model)
    assert same.backbone.embedding.weight.dtype == torch.bfloat16
    assert_near(same(x).float(), model(x).logits, tolerance=0.02)


def test_greedy_generation_is_theirs():
    model, x = theirs(), tokens(5)
    expected = model.generate(x, max_new_tokens=8, do_sample=False, pad_token_id=0)
    assert torch.equal(from_transformers(model).generate(x, 8), expected)


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


def test_weights_are_copied_and_the_global_seed_is_left_alone():
    model = theirs()
    before, x = torch.get_rng_state(), tokens()
    copy = to_transformers(from_transformers(model))
    expected = copy(x).logits
    with torch.no_grad():
        for weight in model.parameters():
            weight.zero_()
    assert torch.equal(copy(x).logits, expected)
    copy.train()
    assert from_transformers(copy).training
    torch.set_rng_state(before)


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
    assert_near(loaded(x).logits, model(x).float(), tolerance=1e-5 if dtype == torch.float32 else 0.02)


@pytest.mark.parametrize("shards", [False, True])
def test_we_load_what_transformers_saves(shards, tmp_path):
    model, x = theirs(conv_kernel=3), tokens()
    model.save_pretrained(tmp_path, max_shard_size="10kB" if shards else "1GB")
    assert (len(list(tmp_path.glob("*.safetensors"))) > 1) == shards
    assert_near(from_pretrained(tmp_path)(x), model(x).logits)


def test_we_load_what_we_save(tmp_path):
    model, x = ours(), tokens()
    save_pretrained(model, tmp_path)
    loaded = from_pretrained(str(tmp_path), backend="ref")
    assert not loaded.training
    assert loaded.config.backend == "ref"
    assert_near(loaded(x), model(x))


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
    with pytest.raises(ValueError, match="differs from backbone.embeddings.weight: only a head tied"):
        load_transformers(ours(), weights)
    with pytest.raises(ValueError, match="tie_word_embeddings = False: only True"):
        from_transformers(theirs(tie_word_embeddings=False))


def test_what_ours_does_not_compute_is_refused():
    with pytest.raises(ValueError, match="hidden_act = 'gelu': only 'silu' or 'swish'"):
        from_transformers(theirs(hidden_act="gelu"))
    other = transformers.FalconMambaForCausalLM(transformers.FalconMambaConfig(**SIZES))
    with pytest.raises(ValueError, match="model_type = 'falcon_mamba': only 'mamba'"):
        from_transformers(other)


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
    assert_near(from_pretrained("some/mamba")(tokens()), model(tokens()))
    assert asked == [("some/mamba", ["config.json", "model*.safetensors"])]


@pytest.fixture
def calls(monkeypatch):
    """Backends of all calls of our scan from inside transformers; undoes what a failing test left."""
    seen, scan = [], mamba_weights.selective_scan_fn

    def counting(*inputs, backend):
        seen.append(backend)
        return scan(*inputs, backend=backend)

    monkeypatch.setattr(mamba_weights, "selective_scan_fn", counting)
    yield seen
    for acceleration in list(mamba_weights._active):
        acceleration.undo()


def test_accelerated_logits_are_theirs_and_the_scan_is_ours(calls):
    model, x = theirs(), tokens()
    expected = model(x).logits
    assert calls == []
    with accelerate_transformers():
        assert_near(model(x).logits, expected, tolerance=4e-6)
        assert calls == ["auto"] * 2  # layers
    model(x)
    assert len(calls) == 2


def tiny(family):
    options = {**SIZES, **KEPT, "num_hidden_layers": 3}
    attention = {"num_attention_heads": 2, "num_key_value_heads": 2, "intermediate_size": 16}
    if family == "jamba":
        experts = {"num_experts": 2, "attn_layer_period": 2, "attn_layer_offset": 1, "mamba_dt_rank": 3}
        return transformers.JambaForCausalLM(transformers.JambaConfig(**options, **attention, **experts))
    if family == "zamba":
        layers = {"layers_block_type": ["mamba", "hybrid", "mamba"], "mamba_dt_rank": 3}
        return transformers.ZambaForCausalLM(transformers.ZambaConfig(**options, **attention, **layers))
    return transformers.FalconMambaForCausalLM(transformers.FalconMambaConfig(**options))


@pytest.mark.parametrize("family", ["falcon_mamba", "jamba", "zamba"])
def test_other_families_are_accelerated_too(family, calls):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model, x = stirred(tiny(family)), tokens()
    with torch.no_grad():
        expected = model(x, use_cache=False).logits
        with accelerate_transformers() as acceleration:
            assert f"transformers.models.{family}.modeling_{family}" in acceleration.modules
            assert_near(model(x, use_cache=False).logits, expected)
    assert calls


@pytest.mark.parametrize("cache", [True, False])
def test_accelerated_generation_gives_the_same_tokens_with_and_without_a_cache(cache, calls):
    model, x = theirs(), tokens(5)
    expected = model.generate(x, max_new_tokens=8, do_sample=False, pad_token_id=0)
    with accelerate_transformers():
        found = model.generate(x, max_new_tokens=8, do_sample=False, pad_token_id=0, use_cache=cache)
    assert torch.equal(found, expected)
    assert len(calls) == (2 if cache else 16)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_last_state_is_theirs_in_value_and_dtype(dtype, calls):
    model, x = theirs().to(dtype), tokens()
    expected = model(x, use_cache=True)
    with accelerate_transformers():
        found = model(x, use_cache=True)
    for layer in range(2):
        ours, theirs_ = (run.cache_params.get_recurrent_state(layer, state_idx=0) for run in (found, expected))
        assert ours.dtype == theirs_.dtype
        assert_near(ours.float(), theirs_.float(), tolerance=1e-5 if dtype == torch.float32 else 0.05)
    assert_near(found.logits.float(), expected.logits.float(), tolerance=1e-5 if dtype == torch.float32 else 0.02)


def test_an_accelerated_training_step_has_their_gradients(calls):
    model, x = theirs().train(), tokens()
    expected = gradients(model, x, model(x).logits)
    with accelerate_transformers():
        found = gradients(model, x, model(x).logits)
    assert len(calls) == 2
    for name, gradient in expected.items():
        assert_near(found[name], gradient)


def patched():
    """Whether transformers scans by our function, in two of the families."""
    found = {m.mamba_selective_scan.__module__ == "lib.models.mamba_weights" for m in MODULES}
    assert len(found) == 1
    return found.pop()


MODULES = (modeling_mamba, modeling_falcon_mamba)


def test_an_exception_undoes_the_acceleration(calls):
    originals = [module.mamba_selective_scan for module in MODULES]
    with pytest.raises(KeyError), accelerate_transformers():
        assert patched()
        raise KeyError
    assert [module.mamba_selective_scan for module in MODULES] == originals


def test_a_plain_call_lasts_until_it_is_undone_once_or_twice(calls):
    assert not patched()
    acceleration = accelerate_transformers()
    assert patched()
    acceleration.undo()
    assert not patched()
    acceleration.undo()
    assert not patched()
    with pytest.raises(RuntimeError, match="undone already"), acceleration:
        pass


def test_the_innermost_acceleration_scans(calls):
    model, x = theirs(), tokens(3)
    with accelerate_transformers("ref"):
        with accelerate_transformers("auto"):
            model(x)
        model(x)
    assert calls == ["auto"] * 2 + ["ref"] * 2
    assert not patched()


def test_accelerations_may_be_undone_in_any_order(calls):
    model, x = theirs(), tokens(3)
    first, second = accelerate_transformers("auto"), accelerate_transformers("ref")
    first.undo()
    model(x)
    assert calls == ["ref"] * 2
    second.undo()
    assert not patched()


def test_an_unknown_backend_is_refused_before_anything_is_patched():
    with pytest.raises(ValueError, match="backend = 'fast': one of auto, cpp"):
        accelerate_transformers("fast")
    assert not patched()


def test_another_transformers_is_refused_with_its_version_and_what_is_missing(monkeypatch):
    original = modeling_mamba.mamba_selective_scan
    monkeypatch.delattr(modeling_mamba, "mamba_selective_scan")
    named = f"transformers {transformers.__version__}: {modeling_mamba.__name__} has no function mamba_selective_scan"
    with pytest.raises(RuntimeError, match=re.escape(f"{named}; known to work: transformers 5.15 to 5.23")):
        accelerate_transformers()
    monkeypatch.setattr(modeling_mamba, "mamba_selective_scan", lambda x, dt: original, raising=False)
    with pytest.raises(RuntimeError, match="mamba_selective_scan takes x, dt, not hidden_states, dt, A, B, C, D"):
        accelerate_transformers()
    monkeypatch.setitem(sys.modules, modeling_mamba.__name__, None)
    with pytest.raises(RuntimeError, match=f"import of {modeling_mamba.__name__} halted"):
        accelerate_transformers()
    assert not mamba_weights._active


def test_a_family_that_scans_by_other_means_is_left_alone(monkeypatch, calls):
    monkeypatch.delattr(modeling_falcon_mamba, "mamba_selective_scan")
    with accelerate_transformers() as acceleration:
        assert modeling_mamba.__name__ in acceleration.modules
        assert modeling_falcon_mamba.__name__ not in acceleration.modules
        assert not hasattr(modeling_falcon_mamba, "mamba_selective_scan")


@pytest.mark.parametrize("option", [{"seq_idx": torch.zeros(1, 3)}, {"cu_seqlens": None, "initial_state": 1}])
def test_an_option_that_our_scan_lacks_is_refused(option, calls):
    x = torch.randn(1, 2, 3)
    inputs = (x, x, -torch.ones(2, 4), torch.randn(1, 4, 3), torch.randn(1, 4, 3))
    with accelerate_transformers():
        modeling_mamba.mamba_selective_scan(*inputs, cu_seqlens=None, use_mambapy=True)
        with pytest.raises(ValueError, match=f"{list(option)[-1]}: the accelerated scan does not know it"):
            modeling_mamba.mamba_selective_scan(*inputs, **option)
