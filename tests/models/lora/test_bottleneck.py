"""The seed's two matrices: the pseudocode forgets the layer, the formula is as near as its rank allows."""

import adapting
import pytest
import torch
from refusals import refused
from torch import nn
from torch.nn import functional as F
from torch.testing import assert_close

from lib.models.lora.bottleneck import replace_linear


def test_at_full_rank_the_formula_is_the_layer():
    model, x = adapting.net(), adapting.inputs()
    whole = model(x)
    assert replace_linear(model, "0|2", 4, "svd") == ["0", "2"]
    assert not torch.allclose(model(x), whole)  # rank 4 of 6 in the first
    model = adapting.net()
    replace_linear(model, "2", 4, "svd")
    assert_close(model(x), whole)


def test_the_pseudocode_keeps_nothing_of_the_layer():
    outputs = []
    for seed in (0, 1):
        model = adapting.net(seed)
        replace_linear(model, "0|2", 3, "random", generator=torch.Generator().manual_seed(0))
        outputs.append(model(adapting.inputs()))
    assert torch.equal(*outputs)


def test_the_pseudocode_begins_as_torch_does():
    torch.manual_seed(5)
    down, up = nn.Linear(6, 3), nn.Linear(3, 10)
    model = adapting.net(dtype=torch.float32)
    replace_linear(model, "0", 3, "random", generator=torch.Generator().manual_seed(5))
    for part, wanted in zip(model[0], (down, up), strict=True):
        assert part.weight.shape == wanted.weight.shape
        assert part.weight.abs().max() <= wanted.in_features**-0.5
        assert part.bias.abs().max() <= wanted.in_features**-0.5


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"rank": 0}, "rank = 0: an integer from 1 to 6"),
        ({"init": "zero"}, "init = 'zero': one of random, svd is needed"),
        ({"targets": "1"}, "1 is of type GELU, not Linear"),
    ],
)
def test_what_cannot_be_is_refused(options, said):
    with refused(said):
        replace_linear(adapting.net(), **{"targets": "0|2", "rank": 3, "init": "svd", **options})


@pytest.mark.parametrize("init", ["random", "svd"])
@pytest.mark.parametrize("bias", [True, False])
def test_the_weight_and_the_bias_of_the_two_are_those_of_one_layer(init, bias):
    model, x = nn.Sequential(nn.Linear(6, 10, bias=bias)).double(), adapting.inputs()
    replace_linear(model, "0", 3, init)
    assert_close(F.linear(x, model[0].weight, model[0].bias), model(x))
    assert (model[0].in_features, model[0].out_features) == (6, 10)


def test_a_block_that_reads_the_weight_computes_with_the_two():
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(6, 2, 10, dropout=0.0, batch_first=True).double()
    x = adapting.inputs()[None]
    replace_linear(layer, "linear[12]", 3, "svd")
    slow = layer(x)
    with torch.no_grad():
        assert_close(layer.eval()(x), slow)


def test_half_precision_has_singular_values_too():
    model = adapting.net(dtype=torch.float16)
    weight = model[2].weight.detach().float()
    replace_linear(model, "2", 4, "svd")
    assert model[2].weight.dtype == torch.float16
    assert_close(model[2].weight.float(), weight, rtol=0, atol=6 * 2**-11)  # six roundings of values below 1


def test_nothing_is_replaced_where_one_layer_has_no_singular_values():
    model = adapting.net()
    model[2].weight.data[0, 0] = torch.nan
    with refused("weight of 2: all of its values must be finite"):
        replace_linear(model, "0|2", 3, "svd")
    assert [type(layer) for layer in model] == [nn.Linear, nn.GELU, nn.Linear]
