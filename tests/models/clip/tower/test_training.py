"""Training through a reduced tower: gradients, what is kept for them, dropout, and mixed precision."""

import copy

import pytest
import torch
from precision import assert_within
from reductions import REDUCTIONS, SEEN
from towers import images, tower

from lib.models.clip.reduction import reduce_tokens
from lib.models.clip.tower import Tower, attend


def learned(module, x):
    """Gradients of all weights, and how many bytes were kept for them besides the weights themselves."""
    own, kept = {weight.data_ptr() for weight in module.parameters()}, {}

    def keep(tensor):
        if tensor.untyped_storage().data_ptr() not in own:
            kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    module.zero_grad()
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        loss = module(x).pooler_output.square().sum()
    loss.backward()
    gradients = {name: weight.grad.clone() for name, weight in module.named_parameters() if weight.grad is not None}
    return gradients, sum(kept.values())


def within(found, wanted):
    assert found.keys() == wanted.keys()
    for name, one in wanted.items():
        assert_within(found[name], one, 1e-10, max(one.abs().max(), torch.tensor(1.0)))


@pytest.mark.parametrize("method", REDUCTIONS)
@pytest.mark.parametrize("reentrant", [False, True])
def test_layers_are_computed_anew_where_a_tower_would(method, reentrant):
    x = images(4).requires_grad_()
    reduced = reduce_tokens(tower(num_hidden_layers=4), method, 0.75).train()
    wanted, much = learned(reduced, x)
    reduced.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": reentrant})
    found, little = learned(reduced, x)
    within(found, wanted)
    assert little < 0.5 * much  # of four layers their inputs, and one in full at a time, in the backward pass
    reduced.gradient_checkpointing_disable()
    found, again = learned(reduced, x)
    within(found, wanted)
    assert again > 0.9 * much


@pytest.mark.parametrize(("kind", "method"), SEEN)
def test_with_all_tokens_gradients_are_the_towers(kind, method):
    model, x = tower(kind), images()
    wanted, _ = learned(model, x)
    within(learned(reduce_tokens(model, method), x)[0], wanted)


def test_the_last_row_alone_is_computed_anew_too():
    x = images(4)
    reduced = reduce_tokens(tower(), "merge", 0.75, class_row_only=True).train()
    wanted, much = learned(reduced, x)
    reduced.gradient_checkpointing_enable()
    found, little = learned(reduced, x)
    within(found, wanted)
    assert little < 0.5 * much


def test_attention_drops_what_the_towers_own_drops():
    model = tower(attention_dropout=0.4).train()
    attention, x = model.encoder.layers[0].self_attn, Tower.of(model).embed(images())
    found = []
    for run in (lambda: attention(x)[0], lambda: attend(attention, x)[0]):
        torch.manual_seed(0)
        found.append(run())
    assert torch.equal(*found)
    reduced = reduce_tokens(model, "merge", 0.5)
    assert not torch.equal(reduced(images())[1], reduced(images())[1])
    assert torch.equal(reduced.eval()(images())[1], reduced(images())[1])


@pytest.mark.parametrize(("kind", "method"), SEEN)
def test_mixed_precision_trains(kind, method):
    reduced, x = reduce_tokens(tower(kind, dtype=torch.float32), method, 0.5).train(), images(dtype=torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        found, _ = learned(reduced, x)
    whole, _ = learned(copy.deepcopy(reduced).double(), x.double())
    assert found.keys() == whole.keys()
    for one in found.values():
        assert one.dtype == torch.float32
        assert one.isfinite().all()
