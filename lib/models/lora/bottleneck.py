"""Two small matrices instead of one: what the original report calls LoRA, and what its formula W ~ A B means.

Source: the original report, part B, section 4.2.
"""

from typing import Literal, get_args

import torch
from torch import nn

from lib.models.checks import check_choice
from lib.models.factors import low_rank
from lib.models.lora.layers import check_rank, matching

Init = Literal["random", "svd"]


def replace_linear(
    model: nn.Module, targets: str, rank: int, init: Init, *, generator: torch.Generator | None = None
) -> list[str]:
    """Replace each linear layer that matches by two, one after the other, in place.

    targets     a regular expression, as in `lib.models.lora.layers.add_lora`
    init        "random": the pseudocode, which drops the old layer; "svd": the formula, the best of that rank
    generator   of the random one, on the CPU; torch's own where left out
    returns     names of the layers, in the model's order
    raises      ValueError, as `add_lora` does
    """
    check_choice("init", init, get_args(Init))
    found = matching(model, targets)
    check_rank(found, rank)
    for name, layer in found.items():
        model.set_submodule(name, _two(layer, rank, init, generator))
    return list(found)


def _two(layer: nn.Linear, rank: int, init: Init, generator: torch.Generator | None) -> nn.Sequential:
    placed = {"device": layer.weight.device, "dtype": layer.weight.dtype}
    if init == "random":
        down, up = nn.Linear(layer.in_features, rank, **placed), nn.Linear(rank, layer.out_features, **placed)
        for part in (down, up):  # as nn.Linear begins, drawn from what was passed in
            bound = part.in_features**-0.5
            for values in (part.weight, part.bias):
                drawn = torch.empty(values.shape).uniform_(-bound, bound, generator=generator)
                values.data.copy_(drawn)
        return nn.Sequential(down, up).train(layer.training)
    left, right = low_rank(layer.weight.detach(), rank)
    down = nn.Linear(layer.in_features, rank, bias=False, **placed)
    up = nn.Linear(rank, layer.out_features, bias=layer.bias is not None, **placed)
    down.weight.data.copy_(right)
    up.weight.data.copy_(left)
    if layer.bias is not None:
        up.bias.data.copy_(layer.bias)
    return nn.Sequential(down, up).train(layer.training)
