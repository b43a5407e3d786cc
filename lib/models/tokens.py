"""Tokens on their way through a tower, and where each patch of the image has gone. Symbols: `lib/__init__.py`."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

GONE = -1  # the place of a patch that no token holds any more


@dataclass(frozen=True)
class Tokens:
    """Some of a tower's tokens.

    x        their features; the class token, where there is one, is the first
    sizes    of how many patches each is the mean; one for a class token
    places   of every patch of the image, the token that holds it, or GONE
    classes  how many of them stand before the patches
    single   whether each is one patch: nothing has merged yet
    """

    x: Float[Tensor, "B S D"]
    sizes: Float[Tensor, "B S"]
    places: Int[Tensor, "B P"]
    classes: int
    single: bool = True

    @classmethod
    def of(cls, x: Float[Tensor, "B S D"], classes: int) -> "Tokens":
        """All tokens of an image, one patch each."""
        places = torch.arange(classes, x.shape[1], device=x.device).expand(len(x), -1)
        return cls(x, x.new_ones(x.shape[:2]), places, classes)

    @property
    def count(self) -> int:
        """Tokens that stand for patches."""
        return self.x.shape[1] - self.classes

    def __len__(self) -> int:
        return len(self.x)

    def kept(self, chosen: Int[Tensor, "B K"]) -> "Tokens":
        """The class token and some of the others, in the order that they have; patches of the rest are gone.

        chosen   numbers of tokens, counted without the class token, each at most once per image
        """
        chosen = chosen.sort(dim=1).values + self.classes
        whole = torch.arange(self.classes, device=chosen.device).expand(len(self), -1)
        chosen = torch.cat([whole, chosen], dim=1)
        to = chosen.new_full(self.sizes.shape, GONE)
        to.scatter_(1, chosen, torch.arange(chosen.shape[1], device=chosen.device).expand_as(chosen))
        return replace(self, x=take(self.x, chosen), sizes=self.sizes.gather(1, chosen), places=moved(self.places, to))


def take(x: Float[Tensor, "B S D"], chosen: Int[Tensor, "B K"]) -> Float[Tensor, "B K D"]:
    """Rows of every image by number."""
    return x.gather(1, chosen.unsqueeze(-1).expand(-1, -1, x.shape[-1]))


def moved(places: Int[Tensor, "B P"], to: Int[Tensor, "B S"]) -> Int[Tensor, "B P"]:
    """Places after every token has gone to another one, or has gone."""
    return to.gather(1, places.clamp(min=0)).where(places >= 0, GONE)
