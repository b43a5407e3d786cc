"""What mixers that choose have in common: what they chose last, and how the loss reaches a choice.

Their terms of a loss, and what they cost at most, are `balance` and `spend` of `lib.models.mrss.variants`.
"""

from collections.abc import Iterator
from typing import Protocol, runtime_checkable

import torch
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


@torch.no_grad()
def uses(model: nn.Module, x: Tensor) -> list[tuple[int, Float[Tensor, "B n"]]]:
    """Span [tokens], and share of every span's tokens that was computed, of each mixer of a model that chooses.

    x        an input of the model
    raises   ValueError for a model without such a mixer
    """
    model(x)
    found = [(mixer.span, mixer.used) for mixer in routed(model)]
    if not found:
        raise ValueError(f"{type(model).__name__}: none of its mixers chooses what it computes")
    return found


def reached(used: Float[Tensor, "*B"], wanted: Float[Tensor, "*B"]) -> Float[Tensor, "*B"]:
    """What was used, with the gradient of the chance that it was wanted: a straight-through estimate.

    source   Bengio, Leonard and Courville (2013)
    """
    return used + (wanted - wanted.detach())
