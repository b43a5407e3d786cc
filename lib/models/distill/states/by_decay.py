"""Choose states by their rates of decay, which training leaves near where they start. Symbols: `lib/__init__.py`."""

from torch import Generator

from lib.models.distill.states.choice import Choice, largest
from lib.models.distill.states.moments import Moments


def slowest(moments: Moments, keep: int, *, generator: Generator | None = None) -> Choice:
    """Keep the states that forget slowest: those of the smallest -A, by its geometric mean over channels.

    keep     1 <= keep <= N
    raises   ValueError, quoting it, for another number
    """
    return largest(-moments.rate.log().mean(0), keep)


def fastest(moments: Moments, keep: int, *, generator: Generator | None = None) -> Choice:
    """Keep the states that forget fastest, the opposite of `slowest`.

    keep     1 <= keep <= N
    raises   ValueError, quoting it, for another number
    """
    return largest(moments.rate.log().mean(0), keep)
