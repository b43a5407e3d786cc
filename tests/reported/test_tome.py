"""Situations that users of token merging reported: each is right here, or refused in a line."""

import pytest
import torch
from precision import assert_within
from reductions import SEEN, merging
from refusals import refused
from towers import images, of_equal_patches, tower

from lib.models.clip.merge import match, merged
from lib.models.clip.reduction import reduce_tokens
from lib.models.clip.tokens import Tokens
from lib.models.clip.tower import attend

TOME = "facebookresearch/ToMe"


def normal(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.reported(TOME, 44)
def test_a_mean_over_merged_tokens_weighs_them_by_their_patches():
    """Models that end in a mean over all tokens need one that is weighted by the tokens' sizes."""
    model, x = of_equal_patches()
    wanted = model(x).last_hidden_state[:, 1:].mean(1)
    output, tokens = reduce_tokens(model, "merge", schedule=[5, 0, 0]).traced(x)
    shares = tokens.sizes[:, 1:, None] / 16
    assert_within((output.last_hidden_state[:, 1:] * shares).sum(1), wanted, 1e-10)
    assert_within(tokens.dense()[:, 1:].mean(1), wanted, 1e-10)


@pytest.mark.reported(TOME, 4)
def test_queries_may_be_fewer_than_the_merged_keys_whose_sizes_count():
    """Merged keys and values of a cross attention shared the sizes of other tokens, and shapes did not match."""
    layer, x = tower().encoder.layers[0], normal(2, 9, 32)
    twice = torch.cat([x, x[:, 4:5]], dim=1)
    sizes = torch.ones(2, 9).double().index_fill(1, torch.tensor([4]), 2.0)
    assert_within(attend(layer.self_attn, x, sizes, queries=3)[0], attend(layer.self_attn, twice, queries=3)[0], 1e-10)


@pytest.mark.reported(TOME, 9)
def test_tokens_stay_in_the_order_of_their_patches():
    """Tasks that label tokens in their order could not use merged ones, which come in another."""
    x = normal(1, 12, 3)
    sources, targets = match(x, 5, 1)
    tokens = merged(Tokens.of(x, 1), sources, targets)
    left = [token for token in range(12) if token not in sources[0].tolist()]
    for place, token in enumerate(left):
        assert token == 0 or tokens.places[0, token - 1] == place
        assert token in targets[0].tolist() or torch.equal(tokens.x[0, place], x[0, token])


@pytest.mark.reported(TOME, 45)
def test_where_every_patch_went_is_known_in_the_middle_of_the_tower():
    """The original order was known after the last layer alone, not after each block."""
    model, x = tower(), images()
    first = reduce_tokens(model, "merge", schedule=[6, 0, 0]).traced(x)[1]
    second = reduce_tokens(model, "merge", schedule=[6, 2, 0]).traced(x)[1]
    for one, other in zip(first.places, second.places, strict=True):
        for token in range(1, 11):  # patches that are together stay together
            assert len(set(other[one == token].tolist())) == 1


@pytest.mark.reported(TOME, 13)
def test_a_merger_is_a_mean_and_gradients_reach_each_patch_by_its_share():
    """Whether merging twice is still the mean of the patches, when trained."""
    x = normal(1, 5, 3).requires_grad_()
    tokens = merged(Tokens.of(x, 0), torch.tensor([[0, 2]]), torch.tensor([[1, 1]]))
    tokens = merged(tokens, torch.tensor([[0]]), torch.tensor([[1]]))
    assert tokens.sizes.tolist() == [[4, 1]]
    assert_within(tokens.x[0, 0], x[0, :4].mean(0), 1e-14)
    tokens.x[0, 0].sum().backward()
    assert_within(x.grad[0], torch.tensor([0.25] * 4 + [0.0]).double()[:, None].expand(5, 3), 1e-14)


@pytest.mark.reported(TOME, 22)
def test_later_layers_really_get_fewer_tokens():
    """Attention and MLPs seemed to go on with all tokens, padded."""
    model, counts = tower(), []
    for layer in model.encoder.layers:
        layer.mlp.register_forward_pre_hook(lambda _, given: counts.append(given[0].shape[1]))
        layer.layer_norm1.register_forward_pre_hook(lambda _, given: counts.append(given[0].shape[1]))
    reduced = reduce_tokens(model, "merge", schedule=[5, 4, 3])
    reduced(images())
    assert counts == [17, 12, 12, 8, 8, 5]
    assert [*zip(counts[::2], counts[1::2], strict=True)] == reduced.seen(16)


@pytest.mark.reported(TOME, 38)
def test_a_language_model_gets_as_many_tokens_as_remain():
    """Whether the tokens that a vision tower hands to a language model are fewer, too."""
    output = reduce_tokens(tower(), "merge", 0.25)(images(), output_hidden_states=True)
    assert output.last_hidden_state[:, 1:].shape[1] == output.hidden_states[-1][:, 1:].shape[1] == 4


@pytest.mark.reported(TOME, 42)
def test_convolutions_after_the_tower_get_their_grid_back():
    """Two convolutions after an encoder need features of all patches in their grid."""
    model, x = of_equal_patches(times=2)
    grid = [
        one(x).last_hidden_state[:, 1:].unflatten(1, (4, 4)).permute(0, 3, 1, 2)
        for one in (reduce_tokens(model, "merge", schedule=[8, 0, 0], dense=True), model)
    ]
    kernel = normal(2, 32, 3, 3)
    assert_within(*(torch.conv2d(one, kernel) for one in grid), 1e-10)


@pytest.mark.reported(TOME, 46)
def test_all_that_has_not_merged_is_still_there():
    """It looked as if only half of the tokens that had not merged were kept."""
    x = normal(1, 9, 4)
    sources, targets = match(x, 3, 1)
    tokens = merged(Tokens.of(x, 1), sources, targets)
    untouched = sorted(set(range(9)) - set(sources[0].tolist()) - set(targets[0].tolist()))
    assert tokens.x.shape[1] == 6
    for token in untouched:
        assert (tokens.x[0] == x[0, token]).all(-1).any()


@pytest.mark.reported(TOME, 3)
@pytest.mark.parametrize(("kind", "method"), [one for one in SEEN if any(merging(one[1]))])
def test_a_tower_may_lack_a_class_token_and_with_one_it_never_merges(kind, method):
    """Models without an attribute for another kind of token failed."""
    tokens = reduce_tokens(tower(kind), method, 0.3).traced(images())[1]
    assert tokens.classes == int(kind == "clip")
    assert (tokens.places >= tokens.classes).logical_or(tokens.places < 0).all()
    assert (tokens.sizes[:, : tokens.classes] == 1).all()


@pytest.mark.reported("mlvlab/MCTF", 2)
@pytest.mark.limit(
    "clip",
    "A schedule of merging by which more than half of the tokens merge at one point, or by which they run out",
    "Tokens merge in pairs. Choose a larger share, another schedule, or merge_in_rounds.",
)
def test_a_schedule_by_which_tokens_run_out_is_refused_when_it_is_made():
    """Twenty tokens less in each of twelve layers seemed to leave a negative number of 196."""
    with refused("schedule = [5, 5, 5]: 6 tokens remain when 5 are to merge at point 2; at most 3 can at once"):
        reduce_tokens(tower(), "merge", schedule=[5, 5, 5])


@pytest.mark.reported("dbolya/tomesd", 8)
@pytest.mark.parametrize("sides", [(24, 40), (8, 56), (40, 8)])
def test_grids_with_an_odd_number_of_patches_merge(sides):
    """Some resolutions failed, in whose grids a pattern of two by two does not fit."""
    x = normal(2, 3, *sides)
    patches = sides[0] * sides[1] // 64
    for method in ("merge", "merge_in_rounds"):
        output = reduce_tokens(tower(), method, 0.6)(x, interpolate_pos_encoding=True)
        assert output.last_hidden_state.shape[1] == 1 + round(0.6 * patches)
        assert output.pooler_output.isfinite().all()


@pytest.mark.reported("anhtuanhsgs/GitMerge3D", 3)
def test_attention_in_proportion_to_sizes_does_something():
    """A port of merging passed the sizes on, and its attention did not read them."""
    model, x = of_equal_patches()
    layer = model.encoder.layers[0]
    tokens = Tokens.of(model.pre_layrnorm(model.embeddings(x)), 1)
    pairs = torch.arange(1, 9, 2).expand(2, -1), torch.arange(2, 10, 2).expand(2, -1)
    few = merged(tokens, *pairs)
    wanted = layer.self_attn(layer.layer_norm1(tokens.x))[0][:, 0]
    known, forgotten = (
        attend(layer.self_attn, layer.layer_norm1(few.x), sizes)[0][:, 0] for sizes in (few.sizes, None)
    )
    assert_within(known, wanted, 1e-10)
    assert (forgotten - wanted).abs().max() > 1e-3 * wanted.abs().max()
