"""Token reductions of which some numbers are learned: what they are before, compute, and leave alone."""

import pytest
import torch
from precision import assert_within
from refusals import refused
from towers import images, tower

from lib import names
from lib.models.clip.learned import learnable
from lib.models.clip.learned.threshold import LEAST, SOFT
from lib.models.clip.reduction import reduce_tokens


@pytest.mark.parametrize("method", names.LEARNED)
@torch.no_grad()
def test_with_all_patches_the_output_is_the_models(method):
    x = images(3)
    reduced = learnable(tower(), method, 1.0)
    for numbers in reduced.learned.parameters():
        numbers.fill_(3.0)
    assert torch.equal(reduced(x).last_hidden_state, tower()(x).last_hidden_state)


@pytest.mark.parametrize("method", names.LEARNED)
def test_what_is_learned_is_no_part_of_the_tower(method):
    model = tower()
    reduced = learnable(model, method, 0.5)
    assert [*reduced.state_dict()] == [*model.state_dict()]
    own = {id(one) for one in model.parameters()}
    assert not own & {id(one) for one in reduced.learned.parameters()}
    assert {one.dtype for one in reduced.learned.parameters()} == {torch.float64}


@pytest.mark.parametrize("method", names.LEARNED)
def test_a_loss_reaches_what_is_learned(method):
    reduced = learnable(tower(), method, 0.5)
    view = reduced.softly()
    loss = view(images(4)).pooler_output.square().sum() + view.off_budget()
    loss.backward()
    assert all(one.grad.abs().sum() > 0 for one in reduced.learned.parameters())


@torch.no_grad()
def test_the_mean_moved_by_nothing_is_the_mean():
    x = images(3)
    mean = reduce_tokens(tower(), "norm", 0.5, summary=True)
    shifted = learnable(tower(), "summary_shift", 0.5)
    assert torch.equal(shifted(x).last_hidden_state, mean(x).last_hidden_state)


@torch.no_grad()
def test_a_learned_token_stands_for_what_goes():
    x, model = images(3), tower()
    reduced = learnable(model, "summary_token", 0.5)
    reduced.learned["token"].copy_(torch.randn(model.config.hidden_size, dtype=torch.float64))
    entered = []
    hook = model.encoder.layers[0].register_forward_pre_hook(lambda _, given: entered.append(given[0]))
    reduced(x)
    reduce_tokens(model, "norm", 0.5)(x)
    hook.remove()
    learned, without = entered
    assert torch.equal(learned[:, :-1], without)
    assert torch.equal(learned[:, -1], reduced.learned["token"].expand(3, -1))


@torch.no_grad()
def test_patches_above_the_threshold_stay():
    x, model, generator = images(6), tower(), torch.Generator().manual_seed(1)
    reduced = learnable(model, "threshold", 0.5, layer=0)
    for numbers in reduced.learned.parameters():
        numbers.copy_(0.03 * torch.randn(numbers.shape, generator=generator))
    told = tower()
    told.set_attn_implementation("eager")  # which tells its attention
    attention = told(x, output_attentions=True).attentions[0][:, :, 0, 1:].mean(1)
    relative = (attention / attention.mean(1, keepdim=True)).log()
    # The class token after the attention of the first layer, before its MLP.
    layer, seen = model.encoder.layers[0], []
    hook = layer.layer_norm2.register_forward_pre_hook(lambda _, given: seen.append(given[0][:, 0]))
    model(x)
    hook.remove()
    normed = torch.nn.functional.layer_norm(seen[0], seen[0].shape[-1:])
    wanted = relative >= reduced.learned(normed)
    _, tokens = reduced.traced(x)
    assert torch.equal(tokens.places >= 0, wanted)
    assert len(set(wanted.sum(1).tolist())) > 1


@torch.no_grad()
def test_one_patch_stays_where_none_is_above():
    reduced = learnable(tower(), "threshold", 0.5)
    reduced.learned.bias.fill_(50.0)
    _, tokens = reduced.traced(images(2))
    assert (tokens.places >= 0).sum(1).tolist() == [1, 1]
    assert reduced(images(2)).pooler_output.isfinite().all()


@pytest.mark.parametrize("tile", [1, 4, 64])
@torch.no_grad()
def test_in_buckets_each_image_gets_what_it_gets_alone(tile):
    x = images(8)
    reduced = learnable(tower(), "threshold", 0.5, tile=tile)
    found = reduced(x).pooler_output
    for number in range(len(x)):
        assert_within(found[number], reduced(x[number : number + 1]).pooler_output[0], 1e-12)


@torch.no_grad()
def test_settled_thresholds_keep_the_share_that_is_wanted():
    x = images(16)
    for keep in (0.3, 0.5, 0.8):
        reduced = learnable(tower(), "threshold", keep)
        weight = reduced.learned.weight
        weight.copy_(0.1 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(0)))
        reduced.settle(x, batch=5)
        kept = (reduced.traced(x)[1].places >= 0).double().mean().item()
        assert kept == pytest.approx(keep, abs=1 / x.shape[0])


@torch.no_grad()
def test_while_it_is_learned_a_patch_weighs_by_its_margin():
    """Far above the threshold all patches count whole, far below none does, in between by a sigmoid."""
    x, model = images(2), tower()
    reduced = learnable(model, "threshold", 0.5)
    reduced.learned.bias.fill_(-50.0)
    assert_within(reduced.softly()(x).pooler_output, model(x).pooler_output, 1e-12)
    reduced.learned.bias.zero_()
    view = reduced.softly()
    view(x)
    (above,) = view.margins
    shares = torch.sigmoid(above / SOFT)
    assert view.off_budget().item() == pytest.approx((shares.mean().item() - 0.5) ** 2)
    assert above.min() < 0 < above.max()
    assert shares.min() > LEAST
    assert reduced.margins is None  # the reduction itself is as it was


def test_what_cannot_be_learned_is_refused():
    with refused("method = 'norm': one of summary_token, summary_shift, threshold is needed"):
        learnable(tower(), "norm", 0.5)
    with refused("method = 'threshold': SiglipVisionModel has no class token"):
        learnable(tower("siglip"), "threshold", 0.5)
    with refused("off_budget: it is of a tower of `softly`"):
        learnable(tower(), "threshold", 0.5).off_budget()
    with refused("CLIPVisionModel: reduced already", TypeError):
        learnable(reduce_tokens(tower(), "norm", 0.5), "summary_token", 0.5)
    with refused("keep = 0: more than 0 and at most 1 is needed"):
        learnable(tower(), "summary_token", 0)
    with refused("Linear", TypeError):
        learnable(torch.nn.Linear(2, 2), "summary_token", 0.5)
