"""Filling in what is missing from the current of an appliance: an answer some tokens later; a fast task.

An answer is a level, as in forecasting, see there.
"""

import torch
from jaxtyping import Bool
from torch import Tensor
from torch.nn import functional as F

from lib.models.checks import check_count
from lib.tasks.data.currents import currents, level
from lib.tasks.data.forecasting import MOST
from lib.tasks.data.sequences import IGNORE, LONGEST, Task

LONGEST_SPAN = 8  # samples that are missing in a row
LEAST_GAP, MOST_GAP = 6, 21  # between spans: 13.5 on average, three times the 4.5 of a span


def filling(generator: torch.Generator, length: int = 256, lag: int = 16, levels: int = 32) -> Task:
    """Filling in: in which of 32 levels a missing sample was, due 16 tokens later, so that a model sees what followed.

    A token is a sample, or 0 where it is missing, and whether it is. Spans of 1 to 8 samples are missing, a quarter in
    all, drawn anew for every batch and once for what is held back and tested. Recordings, windows and levels as in
    `lib.tasks.data.forecasting`; the only tokens with an answer are those `lag` after a missing sample.

    length   T
    lag      tokens from a missing sample to its answer
    levels   classes
    raises   ValueError, quoting it, for sizes below 1, a lag of the length or more, fewer than 2 levels or more than
             1,024
    """
    check_count("length", length, 2, LONGEST)
    check_count("lag", lag, 0, length - 1)
    check_count("levels", levels, 2, MOST)
    learned, aside, tested = currents(generator, length)

    def asked(values: Tensor, real: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        gone = missing(*values.shape, generator) & real
        answers = level(values, levels).masked_fill(~gone, IGNORE)[:, : length - lag]
        features = torch.stack([values.masked_fill(gone, 0), gone.float()], dim=-1)
        return features, F.pad(answers, (lag, 0), value=IGNORE)

    def draw(size: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        return asked(*learned.draw(size, length, generator), generator)

    parts = {"valid": asked(*aside.last(length), generator), "test": asked(*tested.last(length), generator)}
    sizes = {"length": length, "inputs": 2, "vocabulary": None, "classes": levels}
    return Task("filling", "fast", **sizes, pooling="none", draw=draw, **parts, endless=False)


def missing(size: int, length: int, generator: torch.Generator) -> Bool[Tensor, "B T"]:
    """Draw which samples are missing: spans of 1 to 8, all as likely, and gaps of 6 to 21 before each."""
    pairs = length // (LEAST_GAP + 1) + 1  # as many as there can be
    gaps = torch.randint(LEAST_GAP, MOST_GAP + 1, (size, pairs), generator=generator)
    spans = torch.randint(1, LONGEST_SPAN + 1, (size, pairs), generator=generator)
    edges = torch.stack([gaps, spans], dim=2).flatten(1).cumsum(1).clamp(max=length)
    counts = torch.zeros(size, length + 1, dtype=torch.long).scatter_add(1, edges, torch.ones_like(edges))
    return counts[:, :length].cumsum(1) % 2 == 1
