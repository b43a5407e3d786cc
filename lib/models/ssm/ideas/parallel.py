"""A recurrence as a parallel scan: steps are put together two by two, in any grouping.

Source: Blelloch (1990), Prefix sums and their applications; Hillis and Steele (1986) for the doubling.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from lib.models.checks import check_shape


class Step(NamedTuple):
    """One or several steps of h <- a h + b, as the one step that they equal; fields broadcast."""

    a: Tensor
    b: Tensor


def then(first: Step, second: Step) -> Step:
    """Two steps, one after the other, as one. Associative: how steps are grouped does not matter."""
    return Step(second.a * first.a, second.a * first.b + second.b)


def doubled(a: Float[Tensor, "T N"], b: Float[Tensor, "T N"]) -> Float[Tensor, "T N"]:
    """States after every step of h <- a h + b from zero, in as many rounds as T can be halved.

    In each round every step takes up what the steps before it, twice as many as in the last round, have become.
    raises   ValueError, quoting the shape, for a and b of other shapes
    """
    check_shape("a", a, "T", "N")
    check_shape("b", b, *a.shape)
    steps, span = Step(a, b), 1
    while span < len(a):
        together = then(Step(*(part[:-span] for part in steps)), Step(*(part[span:] for part in steps)))
        steps = Step(*(torch.cat([part[:span], new]) for part, new in zip(steps, together, strict=True)))
        span *= 2
    return steps.b
