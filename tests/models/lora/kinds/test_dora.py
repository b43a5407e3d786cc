"""DoRA: directions and lengths of rows are adapted apart."""

import adapting
import pytest
import torch
from refusals import refused
from torch.testing import assert_close

from lib.models.lora.layers import adapters, add_lora


def test_the_rows_have_the_lengths_that_were_learned_and_the_directions_of_lora():
    ours, plain = adapting.add(adapting.net(), adapter="dora"), adapting.net()
    add_lora(plain, "0|2", 3, 6.0)
    for (_, layer), (_, other) in zip(adapters(ours), adapters(plain), strict=True):
        other.A.data, other.B.data = layer.A.data, layer.B.data
        assert_close(layer.weight.norm(dim=1), layer.magnitude.abs())
        between = torch.nn.functional.cosine_similarity(layer.weight, other.weight, dim=1)
        assert_close(between, layer.magnitude.sign())


def test_a_length_alone_scales_an_output_and_not_its_bias():
    model, x = adapting.net(), adapting.inputs()
    add_lora(model, "0", 3, 6.0, adapter="dora")
    whole, bias = model[0](x), model[0].bias
    model[0].magnitude.data *= 3
    assert_close(model[0](x) - bias, 3 * (whole - bias))


def test_in_training_dropout_acts_on_all_that_is_added():
    """With all inputs left out, the frozen layer's output alone remains, whatever the lengths are."""
    model, x = adapting.net().train(), adapting.inputs()
    add_lora(model, "0", 3, 6.0, dropout=1 - 1e-12, adapter="dora")
    adapting.shaken(model)
    assert_close(model[0](x), model[0].base(x))


@pytest.mark.limit(
    "lora",
    "DoRA on a layer whose weight has a row of zeros",
    "Such a row has no direction, so that the division by its length is not defined. Use LoRA there, or name other "
    "layers.",
)
def test_a_row_of_zeros_is_refused_and_nothing_is_changed():
    model = adapting.net()
    model[2].weight.data[1] = 0
    with refused("2: row 1 of its weight is zero and has no direction, which DoRA needs"):
        add_lora(model, "0|2", 3, 6.0, adapter="dora")
    assert not list(adapters(model))
    assert all(weight.requires_grad for weight in model.parameters())
