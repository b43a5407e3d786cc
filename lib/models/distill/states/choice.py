"""Which states of a block are kept, and how they are read. Symbols: `lib/__init__.py`; K states are kept."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lib.models.checks import check_count, check_shape


@dataclass(frozen=True)
class Choice:
    """K of a block's N states.

    states   which, ascending
    mixing   how they are read: C of the kept states is mixing @ C of all, at every token
    """

    states: Int[Tensor, " K"]
    mixing: Float[Tensor, "K N"]


def plain(states: Sequence[int] | Int[Tensor, " K"], count: int) -> Choice:
    """These of `count` states, each read as before."""
    states = torch.as_tensor(states).sort().values
    return Choice(states, torch.eye(count, dtype=torch.float64)[states])


def largest(scores: Float[Tensor, " N"], keep: int) -> Choice:
    """The states of the largest scores, each read as before; of equals the first.

    raises   ValueError, quoting it, for more states than there are, and for none
    """
    check_shape("scores", scores, "N")
    check_count("keep", keep, 1, len(scores))
    return plain(scores.argsort(descending=True, stable=True)[:keep], len(scores))
