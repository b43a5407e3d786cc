"""The seed's two matrices: the pseudocode forgets the layer, the formula is as near as its rank allows."""

import adapting
import pytest
import torch
from refusals import refused
from torch import nn
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
