"""Rows of the table of token reductions, sorted by what their classes say and plan."""

from towers import KINDS, tower

from lib.models.clip.reduction import Reduced, kind, reduce_tokens
from lib.names import REDUCTIONS

EXACT = [name for name in REDUCTIONS if kind(name).exact]
FIXED = [name for name in EXACT if not kind(name).per_image]  # as many tokens of every image
SUMMARISING = [name for name in REDUCTIONS if kind(name).summarises]
WALKS = [name for name in REDUCTIONS if issubclass(kind(name), Reduced)]
SEEN = [(tower, name) for tower in KINDS for name in EXACT if tower == "clip" or not kind(name).reads_class]


def merging(name: str) -> list[bool]:
    """Whether each cut of a method's plan for half of 16 patches merges tokens."""
    return [cut.merging for cut in reduce_tokens(tower(), name, 0.5).planned(16) if cut.count]
