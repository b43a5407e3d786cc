"""What mixers that choose have in common: what they chose last, and how the loss reaches a choice.

Their terms of a loss, and what they cost at most, are `balance` and `spend` of `lib.models.mrss.variants`.
"""

from collections.abc import Iterator
from typing import Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor, nn


@runtime_checkable
class Routed(Protocol):
    """A mixer that chooses, span by span of a sequence, how many of its tokens are computed; whatever its class.

    span    tokens that a choice is for
    used    (B, n), of the last forward pass: the share of a span's tokens that the costly part computed, from 0 to 1;
            None before the first
    """

    span: int
    used: Tensor | None


def routed(model: nn.Module) -> Iterator[Routed]:
    """The mixers of a model that choose, first to last."""
    yield from (module for module in model.modules() if isinstance(module, Routed))


def reached(used: Float[Tensor, "*B"], wanted: Float[Tensor, "*B"]) -> Float[Tensor, "*B"]:
    """What was used, with the gradient of the chance that it was wanted: a straight-through estimate.

    source   Bengio, Leonard and Courville (2013)
    """
    return used + (wanted - wanted.detach())
