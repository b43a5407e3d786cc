"""Two small matrices instead of one: what the original report calls LoRA, and what its formula W ~ A B means.

Source: the original report, part B, section 4.2.
"""

from typing import Literal, get_args

import torch
from torch import Tensor, nn

from lib.models.checks import check_choice, check_finite
from lib.models.factors import low_rank
from lib.models.lora.linear import become
from lib.models.lora.targets import check_rank, matching

Init = Literal["random", "svd"]


class Bottleneck(nn.Sequential):
    """Two linear layers, one after the other; also for who reads the one weight and bias that they equal."""

    @property
    def weight(self) -> Tensor:
        """The product of the two weights, (out, in)."""
        return self[1].weight @ self[0].weight

    @property
    def bias(self) -> Tensor | None:
        """What the two layers make of zeros, (out); None where neither has a bias."""
        if self[0].bias is None:
            return self[1].bias
        return self[1](self[0].bias)

    @property
    def in_features(self) -> int:
        """Size of an input."""
        return self[0].in_features

    @property
    def out_features(self) -> int:
        """Size of an output."""
        return self[1].out_features


def replace_linear(
    model: nn.Module, targets: str, rank: int, init: Init, *, generator: torch.Generator | None = None
) -> list[str]:
    """Replace each linear layer that matches by two, one after the other, in place.

    targets     a regular expression, as in `lib.models.lora.layers.add_lora`
    init        "random": the pseudocode, which drops the old layer; "svd": the formula, the best of that rank
    generator   of the random one, on the CPU; torch's own where left out
    returns     names of the layers, in the model's order
    raises      ValueError, and changes nothing, as `add_lora` does
    """
    check_choice("init", init, get_args(Init))
    found = matching(model, targets)
    check_rank(found, rank)
    if init == "svd":
        for name, layer in found.items():
            check_finite(f"weight of {name}", layer.weight)
    made = [_two(layer, rank, init, generator) for layer in found.values()]
    for layer, two in zip(found.values(), made, strict=True):
        become(layer, two)
    return list(found)


def _two(layer: nn.Linear, rank: int, init: Init, generator: torch.Generator | None) -> Bottleneck:
    placed = {"device": layer.weight.device, "dtype": layer.weight.dtype}
    if init == "random":
        down, up = nn.Linear(layer.in_features, rank, **placed), nn.Linear(rank, layer.out_features, **placed)
        for part in (down, up):  # as nn.Linear begins, drawn from what was passed in
            bound = part.in_features**-0.5
            for values in (part.weight, part.bias):
                drawn = torch.empty(values.shape).uniform_(-bound, bound, generator=generator)
                values.data.copy_(drawn)
        return Bottleneck(down, up).train(layer.training)
    weight = layer.weight.detach()
    left, right = low_rank(weight.to(torch.promote_types(weight.dtype, torch.float32)), rank)
    down = nn.Linear(layer.in_features, rank, bias=False, **placed)
    up = nn.Linear(rank, layer.out_features, bias=layer.bias is not None, **placed)
    down.weight.data.copy_(right)
    up.weight.data.copy_(left)
    if layer.bias is not None:
        up.bias.data.copy_(layer.bias)
    return Bottleneck(down, up).train(layer.training)
