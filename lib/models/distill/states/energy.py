"""Choose states by their share of the output. Symbols: `lib/__init__.py`."""

import torch
from torch import Generator

from lib.models.distill.states.choice import Choice, largest
from lib.models.distill.states.moments import Moments


def energy(moments: Moments, keep: int, *, generator: Generator | None = None) -> Choice:
    """Keep the states of most energy at the output: the mean square of C[n] h[n] behind the gate, over all channels.

    What states say together, and what one says against another, is not looked at: see `refit`.

    keep     1 <= keep <= N
    raises   ValueError, quoting it, for another number
    """
    return largest(torch.einsum("nnnn->n", moments.joint), keep)
