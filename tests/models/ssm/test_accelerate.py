"""Our scan inside transformers' models: the same results, and undone without a trace."""

import re
import sys

import pytest
import torch
import transformers
from mambas import KEPT, SIZES, exactly, gradients, stirred, theirs, tokens
from precision import SINGLE, assert_within
from transformers.models.falcon_mamba import modeling_falcon_mamba
from transformers.models.mamba import modeling_mamba

from lib.models.ssm import accelerate
from lib.models.ssm.mamba import accelerate_transformers
from lib.models.ssm.mamba_weights import state_dict_to_transformers


@pytest.fixture
def calls(monkeypatch):
    """Backends of all calls of our scan from inside transformers; undoes what a failing test left."""
    seen, scan = [], accelerate.selective_scan_fn

    def counting(*inputs, backend):
        seen.append(backend)
        return scan(*inputs, backend=backend)

    monkeypatch.setattr(accelerate, "selective_scan_fn", counting)
    yield seen
    for acceleration in list(accelerate._active):
        acceleration.undo()


def test_accelerated_logits_are_theirs_and_the_scan_is_ours(calls):
    model, x = theirs(), tokens()
    exact = exactly(model)(x)
    assert_within(model(x).logits, exact, SINGLE)
    assert calls == []
    with accelerate_transformers():
        assert_within(model(x).logits, exact, SINGLE)
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
        layers = {"layers_block_type": ["mamba", "hybrid", "hybrid"], "mamba_dt_rank": 3}
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
            assert_within(model(x, use_cache=False).logits, expected, 2 * SINGLE)  # both are rounded
    assert calls


@pytest.mark.parametrize("cache", [True, False])
def test_accelerated_generation_gives_the_same_tokens_with_and_without_a_cache(cache, calls):
    model, x = theirs(), tokens(5)
    expected = model.generate(x, max_new_tokens=5, do_sample=False, pad_token_id=0)
    with accelerate_transformers():
        found = model.generate(x, max_new_tokens=5, do_sample=False, pad_token_id=0, use_cache=cache)
    assert torch.equal(found, expected)
    assert len(calls) == (2 if cache else 10)  # layers, and prompts or all tokens


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_last_state_is_theirs_in_value_and_dtype(dtype, calls):
    model, x = theirs().to(dtype), tokens()
    expected = model(x, use_cache=True)
    with accelerate_transformers():
        found = model(x, use_cache=True)
    for layer in range(2):
        ours, theirs_ = (run.cache_params.get_recurrent_state(layer, state_idx=0) for run in (found, expected))
        assert ours.dtype == theirs_.dtype
        assert_within(ours.float(), theirs_.float(), 2 * SINGLE if dtype == torch.float32 else 0.05)
    assert_within(found.logits.float(), expected.logits.float(), 2 * SINGLE if dtype == torch.float32 else 0.02)


def test_an_accelerated_training_step_has_their_gradients(calls):
    model, x = theirs().train(), tokens()
    exact = exactly(model)
    expected = state_dict_to_transformers(gradients(exact, x, exact(x)))
    with accelerate_transformers():
        found = gradients(model, x, model(x).logits)
    assert len(calls) == 2
    for name, gradient in found.items():
        assert_within(gradient, expected[name], SINGLE)


def patched():
    """Whether transformers scans by our function, in two of the families."""
    found = {m.mamba_selective_scan.__module__ == "lib.models.ssm.accelerate" for m in MODULES}
    assert len(found) == 1
    return found.pop()


MODULES = (modeling_mamba, modeling_falcon_mamba)


def test_an_exception_undoes_the_acceleration(calls):
    originals = [module.mamba_selective_scan for module in MODULES]

    def fail():
        assert patched()
        raise KeyError

    with pytest.raises(KeyError), accelerate_transformers():
        fail()
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
    assert not accelerate._active


def test_a_family_that_scans_by_other_means_is_left_alone(monkeypatch, calls):
    monkeypatch.delattr(modeling_falcon_mamba, "mamba_selective_scan")
    with pytest.warns(UserWarning, match="^falcon_mamba keeps its own scan: .* has no function mamba_selective_scan"):
        acceleration = accelerate_transformers()
    with acceleration:
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
