"""Choose states by Hankel values of a linear system that stands for the block. Symbols: `lib/__init__.py`."""

from torch import Generator

from lib.models.distill.states.choice import Choice, largest
from lib.models.distill.states.moments import Moments


def hankel(moments: Moments, keep: int, *, generator: Generator | None = None) -> Choice:
    """Keep the states of the largest Hankel values, squared and added up over channels.

    What brings a state about is seen in the data: its mean square is the diagonal of the controllability Gramian. What
    comes of it is that of a system that does not vary: decay at the mean step size, C of its mean square, a gate of its
    mean square. A state's value is that of the system of this state alone, since a block can keep or drop it, and
    not a combination of states, whose decays would differ.

    keep     1 <= keep <= N
    raises   ValueError, quoting it, for another number
    source   Moore (1981), https://doi.org/10.1109/TAC.1981.1102568, of a system in given coordinates
    """
    observed = moments.gate.unsqueeze(1) * moments.reading / (1 - moments.decay.square())
    return largest((moments.held * observed).sum(0), keep)
