"""Rules of published token reductions, on cases computed by hand."""

import math

import pytest
import torch
from reductions import REDUCTIONS
from torch.testing import assert_close
from towers import images, tower

from lib.models.clip.merge import dropped
from lib.models.clip.reduction import reduce_tokens
from lib.models.clip.reduction.pitome import energy, matched_by_energy
from lib.models.clip.reduction.saint import redundancy
from lib.models.clip.reduction.tofu import merged_at_length
from lib.models.clip.tokens import GONE, Tokens

MERGING = [name for name in ("merge", "merge_in_rounds", "pitome") if name in REDUCTIONS]


def test_energy_counts_similar_tokens_and_little_below_the_margin():
    cosines = torch.tensor([[[1.0, 0.95, 0.0], [0.95, 1.0, 0.5], [0.0, 0.5, 1.0]]])
    wanted = [
        (1 + 0.95 + math.exp(-0.9) - 1) / 3,
        (0.95 + 1 + math.exp(-0.4) - 1) / 3,
        (math.exp(-0.9) - 1 + math.exp(-0.4) - 1 + 1) / 3,
    ]
    assert_close(energy(cosines, 0.9), torch.tensor([wanted]))


def test_tokens_of_a_large_group_pair_and_isolated_ones_are_protected():
    x = torch.zeros(1, 7, 5)
    x[0, 0] = 1  # the class token
    for place, (main, other) in enumerate([(0, 0.0), (1, 0.0), (0, 0.1), (0, 0.2), (2, 0.0), (0, 0.3)], start=1):
        x[0, place, main] = 1
        x[0, place, 4] = other
    sources, targets = ({*one[0].tolist()} for one in matched_by_energy(x, 2, 1, margin=0.9))
    assert len(sources) == 2
    assert sources | targets <= {1, 3, 4, 6}
    assert not sources & targets


def test_the_margin_falls_with_depth():
    plan = reduce_tokens(tower(), "pitome", 0.5).planned(16)
    assert [cut.passed for cut in plan] == [0, 0, 1 / 3, 2 / 3]
    assert sum(cut.count for cut in plan) == 8


def test_redundancy_by_hand():
    metric = torch.tensor([[[1.0, 0.0], [2.0, 0.0], [0.0, 1.0], [0.8, 0.6]]])
    # The first token has cosines 1 and 0.8 with the odd ones, both above 0.7; the third 0 and 0.6, none.
    assert_close(redundancy(metric), torch.tensor([[2 * math.exp(10 * (0.9 - 0.7)), 0.3]]))


def test_the_most_redundant_go_and_their_patches_are_gone():
    x = torch.tensor([[9.0, 0.0], [1.0, 0.0], [2.0, 0.0], [0.0, 1.0], [0.8, 0.6]]).unsqueeze(0)
    tokens = dropped(Tokens.of(x, 1), torch.tensor([[1]]))
    assert torch.equal(tokens.x, x[:, [0, 2, 3, 4]])
    assert tokens.places.tolist() == [[GONE, 1, 2, 3]]
    assert tokens.single
    assert all(not cut.merging for cut in reduce_tokens(tower(), "saint", 0.5).planned(16))


def test_a_fused_token_is_as_long_as_the_longest_that_it_is_made_of():
    x = torch.tensor([[5.0, 5.0], [3.0, 0.0], [0.0, 4.0], [1.0, 1.0]]).double().unsqueeze(0)
    tokens = merged_at_length(Tokens.of(x, 1), torch.tensor([[1]]), torch.tensor([[2]]))
    assert_close(tokens.x[0, 1], torch.tensor([2.4, 3.2]).double())  # the direction of (1.5, 2), at length 4
    assert torch.equal(tokens.x[0, [0, 2]], x[0, [0, 3]])
    assert tokens.sizes.tolist() == [[1, 2, 1]]


def test_token_fusion_prunes_early_and_merges_late():
    plan = reduce_tokens(tower(num_hidden_layers=6), "tofu", 0.25, schedule=[2, 2, 2, 2, 2, 2]).planned(16)
    assert [cut.merging for cut in plan] == [False, False, False, False, True, True, True]


@pytest.mark.parametrize("method", MERGING)
def test_merging_loses_no_patch(method):
    _, tokens = reduce_tokens(tower(), method, 0.4).traced(images())
    assert (tokens.sizes[:, 1:].sum(1) == 16).all()
    assert (tokens.places != GONE).all()


def test_a_summary_of_what_the_class_token_leaves_is_weighed_by_its_attention():
    model, x = tower(), images()
    layer = model.encoder.layers[1]
    states = {}
    layer.mlp.register_forward_pre_hook(lambda _, given: states.update(mlp=given[0]))
    model.set_attn_implementation("eager")
    output = model(x, output_attentions=True, output_hidden_states=True)
    weights = output.attentions[1][:, :, 0, 1:].mean(1)
    inside = output.hidden_states[1] + layer.self_attn(layer.layer_norm1(output.hidden_states[1]))[0]
    rest = weights.sort(dim=1).indices[:, :12]
    rows = torch.arange(3).unsqueeze(1)
    shares = weights[rows, rest] / weights[rows, rest].sum(1, keepdim=True)
    mean = (inside[:, 1:][rows, rest] * shares.unsqueeze(-1)).sum(1)
    model.set_attn_implementation("sdpa")
    reduce_tokens(model, "class_attention", 0.25, summary=True)(x)
    assert_close(states["mlp"][:, -1], layer.layer_norm2(mean), rtol=1e-5, atol=1e-6)
    assert states["mlp"].shape[1] == 6
