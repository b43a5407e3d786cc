"""What a way to go on with fewer patches sees, and what it says. Symbols: `lib/__init__.py`; P patches, K of them left.

A way is a function from `Seen` and a number K to groups (B, P): the number, below K, of the patch that each one goes
into, or DROPPED. Along the scan's order groups never go back, so that what is left stands in that order, too.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

DROPPED = -1


@dataclass(frozen=True)
class Seen:
    """What a block is about to read.

    x          patches (B, P, D), after the block's norm
    steps      step sizes (B, P) that the block would make of them, computed on demand
    generator  for what is drawn by lot
    """

    x: Float[Tensor, "B P D"]
    steps: Callable[[], Float[Tensor, "B P"]]
    generator: torch.Generator


def highest(scores: Float[Tensor, "B P"], count: int) -> Int[Tensor, "B P"]:
    """Groups that keep the patches of highest score, each for itself, and drop the others."""
    kept = torch.zeros_like(scores, dtype=torch.bool)
    kept.scatter_(1, scores.topk(count, dim=1).indices, True)
    return numbered(kept, kept)


def numbered(first: Bool[Tensor, "B P"], kept: Bool[Tensor, "B P"]) -> Int[Tensor, "B P"]:
    """Groups that begin at some patches and go on up to the next of them.

    first   where a group begins
    kept    what belongs to its group; the others are dropped
    """
    return torch.where(kept, first.long().cumsum(1) - 1, DROPPED)


def cosines(x: Float[Tensor, "B P D"]) -> Float[Tensor, "B P-1"]:
    """Cosine of each patch and the next one in the scan's order."""
    unit = torch.nn.functional.normalize(x, dim=-1)
    return (unit[:, 1:] * unit[:, :-1]).sum(-1)


def joined(
    x: Float[Tensor, "B P D"], sizes: Float[Tensor, "B P"], groups: Int[Tensor, "B P"], count: int
) -> tuple[Float[Tensor, "B K D"], Float[Tensor, "B K"]]:
    """Mean of each group, every patch by the number of patches that it stands for; and that number of the group."""
    at, weight = groups.clamp(min=0), sizes * (groups != DROPPED)
    total = sizes.new_zeros(len(x), count).scatter_add(1, at, weight)
    into = at[..., None].expand_as(x)
    sums = x.new_zeros(len(x), count, x.shape[-1]).scatter_add(1, into, x * weight[..., None])
    return sums / total[..., None], total
