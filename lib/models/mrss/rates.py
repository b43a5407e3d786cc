"""Which factors there are to choose from, and which of them a segment of a sequence gets.

A router gives every factor a chance. Segment by segment a point moves over the unit interval, by the golden ratio each
time, so that any row of points fills it evenly; the factor on whose chance it falls is the segment's. So factors come
as often as their chances say, and a router that is sure has its way. Nothing is drawn: a model has one answer, whether
it runs or streams.
"""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lib.models.checks import check_counts
from lib.models.mrss.config import LOWEST

GOLDEN = (math.sqrt(5) - 1) / 2
LEAST = 1e-5  # of a variance, so that its root has a gradient


def check_factors(factors: Sequence[int]) -> None:
    """Accept different factors whose least common multiple, a segment, is not too long.

    raises   ValueError, quoting them, for others
    """
    check_counts("factors", factors, 1, LOWEST)
    if len(set(factors)) < len(factors) or math.lcm(*factors) > LOWEST:
        raise ValueError(f"factors = {tuple(factors)}: different ones are needed, of a common multiple up to {LOWEST}")


def halves(factor: int) -> tuple[int, ...]:
    """A factor, what is left of it when halved again and again while that is whole, and 1: 12 gives 1, 3, 6, 12."""
    found = {1, factor}
    while factor % 2 == 0:
        factor //= 2
        found.add(factor)
    return tuple(sorted(found))


def moments(x: Float[Tensor, "*B S D"]) -> Float[Tensor, "*B 2 D"]:
    """Means of S tokens and of their squares, in single precision at least."""
    x = x.to(torch.promote_types(x.dtype, torch.float32))
    return torch.stack([x.mean(-2), x.square().mean(-2)], dim=-2)


def summary(moments: Float[Tensor, "*B 2 D"]) -> Float[Tensor, "*B F"]:
    """What a router reads of a segment: F = 2 D means and standard deviations of its channels."""
    mean, square = moments.unbind(-2)
    return torch.cat([mean, ((square - mean.square()).clamp(min=0) + LEAST).sqrt()], dim=-1)


def chosen(chances: Float[Tensor, "*B k"], number: Int[Tensor, "*n"] | None) -> Int[Tensor, "*B"]:
    """Which factor a segment of this number gets: where its point of the unit interval falls among the chances.

    number   None for the middle of the interval, whatever the segment: the median factor
    """
    point = torch.tensor(0.5, device=chances.device) if number is None else (number + 1).to(torch.float64) * GOLDEN % 1
    return (chances.cumsum(-1)[..., :-1] <= point.to(chances.dtype).unsqueeze(-1)).sum(-1)
