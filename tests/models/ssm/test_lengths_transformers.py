"""Packed rows through transformers' own models, accelerated: each sequence is what it is by itself."""

import importlib

import pytest
import torch
import transformers
from mamba2_models import MADE
from mambas import stirred, theirs
from refusals import refused
from torch.testing import assert_close

from lib.models.ssm.mamba import accelerate_transformers

PIECES = [1, 5, 3]


def packed(generator) -> dict[str, torch.Tensor]:
    """What DataCollatorWithFlattening makes of three samples."""
    samples = [{"input_ids": torch.randint(50, (n,), generator=generator).tolist()} for n in PIECES]
    collator = transformers.DataCollatorWithFlattening(return_seq_idx=True, return_flash_attn_kwargs=True)
    made = collator(samples)
    assert (made["seq_idx"].dtype, made["seq_idx"].shape) == (torch.int32, (1, sum(PIECES)))
    return {name: x for name, x in made.items() if name != "labels"}


@pytest.fixture(scope="module")
def models():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return {family: stirred(make(transformers)) for family, make in MADE.items()}


def inner(model):
    """The model within a language model: Mamba2ForCausalLM drops what it does not know."""
    return getattr(model, model.base_model_prefix)


# Granite's attention does not learn of the sequences without FlashAttention: nothing to compare with.
@pytest.mark.parametrize("family", [family for family in MADE if family != "granitemoehybrid"])
def test_what_a_collator_packs_is_kept_apart(family, models, generator):
    model, batch = inner(models[family]), packed(generator)
    alone = [model(one).last_hidden_state for one in batch["input_ids"].split(PIECES, dim=1)]
    with accelerate_transformers():
        found = model(**batch, use_cache=False).last_hidden_state
    assert_close(found, torch.cat(alone, dim=1), rtol=1e-4, atol=1e-4)


@pytest.mark.limit(
    "ssm",
    "Packed rows (seq_idx, cu_seq_lens) of transformers' Mamba, Falcon Mamba, Jamba and Zamba, accelerated",
    "transformers tells their convolution of the sequences, not their scan. Use its models of Mamba-2, or our MambaLM.",
)
@pytest.mark.parametrize("name", ["seq_idx", "cu_seq_lens_q", "cu_seqlens"])
def test_a_model_whose_scan_would_mix_is_refused(name, generator):
    mixer, batch = theirs().backbone.layers[0].mixer, packed(generator)
    with accelerate_transformers(), refused(f"{name}: transformers hands it to this model's convolution and not to"):
        mixer(torch.ones(1, 9, 32), **{name: batch.get(name, torch.tensor([0, 9]))})


def test_bounds_for_attention_alone_are_refused(models, generator):
    batch = packed(generator)
    del batch["seq_idx"]
    with accelerate_transformers(), refused("cu_seq_lens_q without seq_idx: it is needed"):
        inner(models["mamba2"])(**batch)


def test_an_activation_that_is_not_ours_is_refused():
    module = importlib.import_module("transformers.models.mamba2.modeling_mamba2")
    x, weight, numbers = torch.ones(1, 4, 6), torch.ones(4, 2), torch.zeros(1, 6, dtype=torch.int32)
    with accelerate_transformers(), refused("seq_idx with activation = 'gelu': silu or swish is needed"):
        module.causal_conv1d_fn(x, weight, None, activation="gelu", seq_idx=numbers)
