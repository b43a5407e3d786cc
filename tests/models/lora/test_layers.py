"""Adapters: nothing changes at the start, nothing frozen moves, merging costs nothing, and errors say what is there."""

import clips as small
import pytest
import torch
from adapting import TARGETS, add, inputs, net, shaken
from refusals import refused
from torch import nn
from torch.testing import assert_close

from lib.models.lora.layers import LoraLinear, adapters, add_lora, merge_lora, trainable_report, unmerge_lora
from lib.names import ADAPTERS
from lib.tasks.training.loop import train


def test_a_zero_start_leaves_the_output_as_it_is():
    model, x = net(), inputs()
    whole = model(x)
    assert add_lora(model, "0|2", 3, 6.0) == ["0", "2"]
    assert torch.equal(model(x), whole)


def test_the_output_is_that_of_the_formula():
    model = add(net(), alpha=5.0)
    layer, x = model[0], inputs()
    wanted = x @ layer.base.weight.T + layer.base.bias + 5.0 / 3 * (x @ layer.A.T @ layer.B.T)
    assert_close(layer(x), wanted)


def test_one_generator_gives_one_start():
    starts = []
    for seed in (0, 0, 1):
        model = net()
        add_lora(model, "0", 3, 6.0, generator=torch.Generator().manual_seed(seed))
        starts.append(model[0].A.detach())
    assert torch.equal(starts[0], starts[1])
    assert not torch.equal(starts[0], starts[2])


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_steps_move_adapters_and_nothing_else(adapter):
    model, x = net(), inputs()
    add_lora(model, "2", 2, 4.0, adapter=adapter)
    before = {name: value.clone() for name, value in model.state_dict().items()}

    def losses():
        while True:
            yield model(x).square().mean()

    train(model, losses(), 5, rate=0.01, progress=False)
    moved = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    assert moved == {"2.A", "2.B"} | ({"2.magnitude"} if adapter == "dora" else set())


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_merged_layers_are_plain_and_compute_the_same(adapter):
    model, x = add(net(), adapter=adapter), inputs()
    apart = model(x)
    merge_lora(model)
    assert [type(layer) for layer in model] == [nn.Linear, nn.GELU, nn.Linear]
    assert_close(model(x), apart, rtol=1e-12, atol=1e-12)
    assert repr(model) == repr(net())
    assert sum(weight.numel() for weight in model.parameters()) == sum(weight.numel() for weight in net().parameters())


def test_unmerging_gives_back_every_bit():
    model, x = add(net()), inputs()
    apart, state = model(x), {name: value.clone() for name, value in model.state_dict().items()}
    unmerge_lora(model, merge_lora(model))
    assert torch.equal(model(x), apart)
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())


def test_a_merged_clip_equals_the_unmerged_one():
    model = small.clip()
    model.model.double()
    add_lora(model.model, TARGETS, 4, 8.0)
    shaken(model.model)
    pixels = model.pixels(small.scenes().images)
    with torch.inference_mode():
        apart = model.image_features(pixels)
        merge_lora(model.model)
        assert_close(model.image_features(pixels), apart)


def test_dropout_leaves_out_in_training_alone():
    model, x = net(), inputs()
    add_lora(model, "0", 3, 6.0, dropout=0.5)
    shaken(model)
    model.eval()
    assert torch.equal(model(x), model(x))
    model.train()
    assert not torch.equal(model(x), model(x))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_over_a_frozen_base_of_half_precision_adapters_learn_in_float32(dtype):
    model, x = net(dtype=dtype), inputs(dtype)
    whole = model(x)
    add_lora(model, "0|2", 3, 6.0)
    assert {layer.A.dtype for _, layer in adapters(model)} == {torch.float32}
    assert torch.equal(model(x), whole)
    shaken(model)(x).float().square().sum().backward()
    assert all(layer.B.grad.isfinite().all() for _, layer in adapters(model))
    merge_lora(model)
    assert model[0].weight.dtype == dtype


def test_under_autocast_the_adapter_computes_in_its_type():
    model, x = add(net(dtype=torch.float32)), inputs(torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        y = model(x)
    assert y.dtype == torch.bfloat16
    assert_close(y.float(), model(x), rtol=0.05, atol=0.3)


def test_the_report_counts_what_learns():
    model = net(dtype=torch.float32)
    whole = trainable_report(model)
    assert whole.trainable == whole.total == 6 * 10 + 10 + 10 * 4
    assert whole.optimiser_bytes == 2 * whole.gradient_bytes == 8 * whole.total
    add_lora(model, "0", 3, 6.0)
    low = trainable_report(model)
    assert low.trainable == 3 * (6 + 10)
    assert low.total == whole.total + low.trainable
    assert low.share == low.trainable / low.total


def test_a_second_call_keeps_the_first_adapters_learning():
    model = net()
    add_lora(model, "0", 3, 6.0)
    add_lora(model, "2", 2, 4.0)
    assert {name for name, weight in model.named_parameters() if weight.requires_grad} == {"0.A", "0.B", "2.A", "2.B"}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"rank": 0}, "rank = 0: an integer from 1 to 6 is needed in 0, of shape (10, 6)"),
        ({"rank": 5}, "rank = 5: an integer from 1 to 4 is needed in 2, of shape (4, 10)"),
        ({"rank": 2.5}, "rank = 2.5: an integer from 1 to 6"),
        ({"alpha": 0}, "alpha = 0: more than 0 is needed"),
        ({"alpha": -1.0}, "alpha = -1.0: more than 0 is needed"),
        ({"alpha": float("nan")}, "alpha = nan: a finite number"),
        ({"alpha": float("inf")}, "alpha = inf: a finite number"),
        ({"dropout": 1.0}, "dropout = 1.0: at least 0 and less than 1"),
        ({"adapter": "svd"}, "adapter = 'svd': one of lora, rslora, lora_plus, dora, pissa is needed"),
        ({"targets": "0("}, "targets = '0(': no regular expression"),
        ({"targets": "first"}, "targets = 'first': no layer has such a name; linear ones are 0, 2"),
        ({"targets": "1"}, "1 is of type GELU, not Linear; linear ones are "),
    ],
)
def test_what_cannot_be_is_refused_and_changes_nothing(options, said):
    model = net()
    with refused(said):
        add_lora(model, **{"targets": "0|2", "rank": 3, "alpha": 6.0, **options})
    assert not list(adapters(model))
    assert all(weight.requires_grad for weight in model.parameters())


def test_near_names_are_told():
    with refused(
        "targets = '.*q_prj': no layer has such a name; linear ones are text_model.encoder.layers.0.self_attn.q_proj"
    ):
        add_lora(small.clip().model, ".*q_prj", 4, 8.0)


def test_a_linear_layer_that_is_used_without_being_called_is_refused():
    model = nn.MultiheadAttention(8, 2)
    with refused("out_proj is of type NonDynamicallyQuantizableLinear, not Linear"):
        add_lora(model, "out_proj", 2, 4.0)


@pytest.mark.parametrize("targets", [None, ["0", "2"]])
def test_targets_are_one_expression(targets):
    with refused(f"targets is of type {type(targets).__name__}: a str is needed", TypeError):
        add_lora(net(), targets, 3, 6.0)


def test_an_adapter_on_an_adapter_is_refused():
    model = net()
    add_lora(model, "0", 3, 6.0)
    with refused("0 has an adapter: merge it first, or name other layers"):
        add_lora(model, "0|2", 3, 6.0)
    assert isinstance(model[0], LoraLinear)
    assert isinstance(model[2], nn.Linear)


def test_what_is_not_there_cannot_be_merged_or_unmerged():
    with refused("Sequential has no adapters: add_lora makes them"):
        merge_lora(net())
    model = add(net())
    merged = merge_lora(model)
    unmerge_lora(model, merged)
    with refused("0: no merged layer of this shape is there"):
        unmerge_lora(model, merged)
    with refused("0: no merged layer of this shape is there"):
        unmerge_lora(nn.Sequential(), merged)
