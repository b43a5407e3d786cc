"""Merging and unmerging: in full or not at all, and never over what has changed meanwhile."""

import adapting
import pytest
import torch
from refusals import refused
from torch import nn

from lib.models.lora.layers import adapters, add_lora, merge_lora, unmerge_lora


def half(scale=1.0):
    model = adapting.add(adapting.net(dtype=torch.float16))
    model[2].B.data *= scale
    return model


@pytest.mark.limit(
    "lora",
    "Merging an adapter whose sum with the weight is beyond the range of half precision",
    "The merged weight would hold infinities. Take the model to float32 or bfloat16 first, or train with a "
    "smaller scale.",
)
def test_a_merge_that_half_precision_cannot_hold_is_refused_and_merges_nothing():
    model = half(1e5)
    with refused("merged weight of 2, in torch.float16: all of its values must be finite"):
        merge_lora(model)
    assert [name for name, _ in adapters(model)] == ["0", "2"]
    merge_lora(model.float())
    assert model[2].weight.isfinite().all()


def test_a_product_beyond_half_precision_merges_where_the_sum_is_within():
    model = adapting.add(adapting.net(dtype=torch.float16)).half()
    layer = model[0]
    layer.A.data.fill_(1000.0)
    layer.B.data.fill_(100.0)  # a product of 3e5, where half precision ends at 65504
    layer.scale = 1e-2
    merge_lora(model)
    assert model[0].weight.isfinite().all()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_a_small_adapter_that_rounding_takes_is_told(dtype):
    model = adapting.add(adapting.net(dtype=dtype))
    model[2].B.data *= 1e-5
    with pytest.warns(UserWarning, match=rf"^rounding to {dtype} changes the adapter of 2 by \d+%: merge in float32"):
        merge_lora(model)


@pytest.mark.parametrize(("dtype", "size"), [(torch.float64, 1e-9), (torch.float32, 1e-3), (torch.bfloat16, 1.0)])
def test_an_adapter_that_stays_is_merged_without_a_word(dtype, size, recwarn):
    model = adapting.add(adapting.net(dtype=dtype))
    model[2].B.data *= size
    merge_lora(model)
    assert not recwarn


def test_merging_twice_is_refused():
    model = adapting.add(adapting.net())
    merge_lora(model)
    weight = model[0].weight.clone()
    with refused("Sequential has no adapters: add_lora makes them"):
        merge_lora(model)
    assert torch.equal(model[0].weight, weight)


def test_what_is_no_model_and_no_mapping_is_refused():
    with refused("model is of type list: a Module is needed", TypeError):
        merge_lora([])
    with refused("merged is of type list: a mapping of names to layers is needed", TypeError):
        unmerge_lora(adapting.net(), ["0"])


@pytest.mark.parametrize("place", [lambda layer: layer, lambda layer: layer.base])
def test_hooks_that_came_later_are_not_lost_in_silence(place):
    model = adapting.add(adapting.net())
    handle = place(model[2]).register_forward_hook(lambda layer, given, y: 2 * y)
    with refused("2 has hooks, which another layer in its place would lose: remove them first"):
        merge_lora(model)
    assert len(list(adapters(model))) == 2
    handle.remove()
    merged = merge_lora(model)
    model[2].register_forward_hook(lambda layer, given, y: 2 * y)
    with refused("2 has hooks, which another layer in its place would lose: remove them first"):
        unmerge_lora(model, merged)


def trained(model):
    model[0].weight.data += 1e-3


def rebiased(model):
    model[0].bias = nn.Parameter(torch.zeros(10).double())


@pytest.mark.limit(
    "lora",
    "Unmerging a model whose dtype, device or weights have changed since it was merged",
    "The layers that come back would lose the change or not fit the rest. Undo the change first, or make the adapters "
    "anew.",
)
@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda model: model.half(), "0 was merged in torch.float64 and is in torch.float16 now"),
        (lambda model: model.to("meta"), "0 was merged in cpu and is in meta now"),
        (
            lambda model: model.half().double(),
            "0 has changed since it was merged, or its adapter has; one would be lost",
        ),
        (trained, "0 has changed since it was merged, or its adapter has; one would be lost"),
        (rebiased, "0 has changed since it was merged, or its adapter has; one would be lost"),
        (lambda model: model.__setitem__(0, nn.Linear(6, 10).double()), "0 has changed since it was merged"),
    ],
)
def test_what_has_changed_since_is_not_put_back(change, said):
    model = adapting.add(adapting.net())
    merged = merge_lora(model)
    change(model)
    layers = list(model)
    with refused(said):
        unmerge_lora(model, merged)
    assert all(one is other for one, other in zip(model, layers, strict=True))


def test_a_merge_in_training_goes_on_in_training_and_back():
    model, x = adapting.net().train(), adapting.inputs()
    add_lora(model, "0", 3, 6.0, dropout=0.5)
    adapting.shaken(model)
    merged = merge_lora(model)
    assert all(layer.training for layer in model.modules())
    y = model(x)
    assert torch.equal(model(x), y)  # no dropout is left
    unmerge_lora(model.eval(), merged)
    assert not any(layer.training for layer in model.modules())
    torch.testing.assert_close(model(x), y)


def test_a_frozen_model_keeps_no_gradient_that_an_optimiser_could_take():
    model, x = adapting.net(), adapting.inputs()
    step = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
    model(x).square().sum().backward()
    step.step()
    add_lora(model, "0", 3, 6.0)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    step.step()
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_an_optimiser_that_moves_what_is_merged_already_is_noticed():
    model, x = adapting.add(adapting.net()), adapting.inputs()
    step = torch.optim.SGD([layer.B for _, layer in adapters(model)], 0.1)
    model(x).square().sum().backward()
    merged = merge_lora(model)
    y = model(x)
    step.step()
    assert torch.equal(model(x), y)
    with refused("0 has changed since it was merged, or its adapter has; one would be lost"):
        unmerge_lora(model, merged)


def test_what_is_learned_between_two_merges_counts_once():
    model, x = adapting.add(adapting.net()), adapting.inputs()
    step = torch.optim.SGD([layer.B for _, layer in adapters(model)], 0.1)
    unmerge_lora(model, merge_lora(model))
    model(x).square().sum().backward()
    step.step()
    apart = model(x)
    merge_lora(model)
    torch.testing.assert_close(model(x), apart)
