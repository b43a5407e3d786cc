"""Mixtures of experts of transformers, whichever way their experts are computed, against a count by hand."""

import pytest
import torch
from transformers import JambaConfig, JambaForCausalLM, MixtralConfig, MixtralForCausalLM

from lib.profilers.flops import flops

T, D, WIDE, WORDS, HEADS, PAIRS, EXPERTS, CHOSEN = 16, 32, 64, 50, 4, 2, 8, 2
SIZES = dict(
    hidden_size=D,
    intermediate_size=WIDE,
    vocab_size=WORDS,
    num_attention_heads=HEADS,
    num_key_value_heads=PAIRS,
    bos_token_id=1,
    eos_token_id=2,
    pad_token_id=0,
)
IDS = torch.randint(WORDS, (1, T), generator=torch.Generator().manual_seed(0))
WAYS = ("grouped_mm", "batched_mm", "eager")


@pytest.fixture(scope="module")
def mixtral():
    return MixtralForCausalLM(MixtralConfig(num_hidden_layers=1, num_local_experts=EXPERTS, **SIZES)).eval()


@pytest.fixture(scope="module")
def jamba():
    layers = dict(num_hidden_layers=2, attn_layer_period=2, attn_layer_offset=1)
    experts = dict(num_experts=4, expert_layer_period=1, expert_layer_offset=0)
    return JambaForCausalLM(JambaConfig(**layers, **experts, **SIZES)).eval()


@pytest.mark.parametrize("way", ["default", *WAYS])
def test_experts_count_what_their_matrices_do(mixtral, way):
    if way != "default":
        mixtral.set_experts_implementation(way)
    projections = 2 * T * (2 * D * D + 2 * D * D * PAIRS // HEADS)
    attention = 2 * 2 * T * T * D
    experts = 2 * T * D * EXPERTS + 2 * T * CHOSEN * 3 * D * WIDE
    assert flops(lambda: mixtral(IDS)) == projections + attention + experts + 2 * T * D * WORDS


def test_a_training_step_of_experts_counts_the_same_in_every_way(mixtral):
    def step():
        mixtral(IDS, labels=IDS).loss.backward()

    counts = []
    for way in WAYS:
        mixtral.set_experts_implementation(way)
        counts.append(flops(step, inference=False))
    assert counts == [counts[0]] * 3
    assert counts[0] > 2 * flops(lambda: mixtral(IDS))


def test_experts_beside_scans_count_the_same_in_every_way(jamba):
    counts = [flops(lambda: jamba(IDS))]
    for way in WAYS:
        jamba.set_experts_implementation(way)
        counts.append(flops(lambda: jamba(IDS)))
    assert counts == [counts[0]] * 4
    assert counts[0] > 2 * 2 * T * 2 * 3 * D * WIDE  # the experts of both layers alone
