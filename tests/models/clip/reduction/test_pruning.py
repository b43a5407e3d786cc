"""Which patches each pruning keeps, found in another way than the code does."""

import pytest
import torch
from reductions import SUMMARISING
from torch.testing import assert_close
from towers import images, tower

from lib.models.clip.reduction import reduce_tokens
from lib.models.clip.tokens import GONE, Tokens


def held(row):
    """Numbers of the patches that some token holds."""
    return set((row != GONE).nonzero().squeeze(1).tolist())


@pytest.fixture
def weights():
    """Attention of the class token in the second layer, from the eager form."""
    model = tower()
    model.set_attn_implementation("eager")
    return lambda x: model(x, output_attentions=True).attentions[1][:, :, 0, 1:].mean(1)


def test_the_class_token_chooses_those_it_attends_to_most(weights):
    x = images()
    _, tokens = reduce_tokens(tower(), "class_attention", 0.25).traced(x)
    for row, weight in zip(tokens.places, weights(x), strict=True):
        assert held(row) == set(weight.topk(4).indices.tolist())


def test_norm_keeps_the_longest():
    model, x = tower(), images()
    longest = model.pre_layrnorm(model.embeddings(x))[:, 1:].norm(dim=-1)
    _, tokens = reduce_tokens(model, "norm", 0.5).traced(x)
    for row, length in zip(tokens.places, longest, strict=True):
        assert held(row) == set(length.topk(8).indices.tolist())


def test_norm_is_compared_anew_before_each_attention():
    model, x = tower(), images()
    states = reduce_tokens(model, "norm_each_layer", 0.25)(x, output_hidden_states=True).hidden_states
    assert [state.shape[1] - 1 for state in states] == [10, 10, 6, 4]  # 16 times 1/4 to the power of 1/3, 2/3, 1
    wanted = model.pre_layrnorm(model.embeddings(x))
    for layer, count, state in zip([None, *model.encoder.layers], (10, 6, 4, 4), states, strict=True):
        wanted = wanted if layer is None else layer(wanted, None)
        if layer is not None:
            assert_close(state, wanted)
        longest = wanted[:, 1:].norm(dim=-1).topk(count).indices.sort(dim=1).values
        rows = torch.arange(len(x)).unsqueeze(1)
        wanted = torch.cat([wanted[:, :1], wanted[:, 1:][rows, longest]], dim=1)
        if layer is None:
            assert_close(state, wanted)


def test_the_longest_keys_and_queries_of_a_layer_remain():
    model, x, seen = tower(), images(), {}
    attention = model.encoder.layers[1].self_attn
    hooks = [
        part.register_forward_hook(lambda _, __, found, name=name: seen.setdefault(name, found))
        for name, part in (("query", attention.q_proj), ("key", attention.k_proj))
    ]
    model(x)
    for hook in hooks:
        hook.remove()
    lengths = torch.cat([seen["query"], seen["key"]], dim=2)[:, 1:].norm(dim=-1)
    _, tokens = reduce_tokens(model, "key_query_norm", 0.25).traced(x)
    for row, length in zip(tokens.places, lengths, strict=True):
        assert held(row) == set(length.topk(4).indices.tolist())


def test_random_keeps_what_its_seed_decides_the_same_of_all_images():
    first, again, other = (
        reduce_tokens(tower(), "random", 0.5, seed=seed).traced(images())[1].places for seed in (0, 0, 1)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert (first == first[:1]).all()


def test_each_image_has_the_fewest_patches_that_hold_a_share_of_its_attention(weights):
    x = images(6)
    found, tokens = reduce_tokens(tower(), "adaptive", 0.6).traced(x)
    counts = []
    for row, sizes, weight in zip(tokens.places, tokens.sizes, weights(x), strict=True):
        kept = weight[row != GONE]
        counts.append(len(kept))
        assert kept.sum() >= 0.6 * weight.sum() > kept.sum() - kept.min()
        assert set(kept.tolist()) == set(weight.topk(len(kept)).values.tolist())
        assert sizes.sum() == 1 + len(kept)
    assert len(set(counts)) > 1
    assert found.last_hidden_state.shape[1] == 1 + max(counts)


def test_a_summary_is_the_mean_of_what_was_left_out_and_holds_its_patches():
    model, x = tower(), images()
    before = model.pre_layrnorm(model.embeddings(x))
    chosen = torch.tensor([[1, 5, 7]] * 3)
    tokens = Tokens.of(before, 1).summarised(chosen)
    left = [number for number in range(16) if number not in (1, 5, 7)]
    assert_close(tokens.x[:, -1], before[:, 1:][:, left].mean(1))
    assert_close(tokens.x[:, :4], before[:, [0, 2, 6, 8]])
    assert (tokens.places[:, left] == 4).all()
    assert tokens.places[:, [1, 5, 7]].tolist() == [[1, 2, 3]] * 3


@pytest.mark.parametrize("method", SUMMARISING)
def test_a_summary_is_one_more_token_and_no_patch_is_gone(method):
    reduced = reduce_tokens(tower(), method, 0.5, summary=True)
    _, tokens = reduced.traced(images())
    assert tokens.x.shape[1] == 1 + 8 + 1 == reduced.seen(16)[-1][1]
    assert not (tokens.places == GONE).any()


@pytest.mark.parametrize("method", SUMMARISING)
def test_with_all_tokens_there_is_nothing_to_summarise(method):
    reduced = reduce_tokens(tower(), method, 1.0, summary=True)
    assert torch.equal(reduced(images()).pooler_output, tower()(images()).pooler_output)
    assert reduced.seen(16) == [(17, 17)] * 3
