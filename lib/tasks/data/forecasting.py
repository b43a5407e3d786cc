"""Forecasting of the current of an appliance, in levels: an answer at every token; a fast task.

A forecast is a class, as in WaveNet, van den Oord et al. (2016), and Chronos, Ansari et al. (2024).
"""

import torch
from torch import Tensor

from lib.models.checks import check_count
from lib.tasks.data.currents import currents, level
from lib.tasks.data.sequences import IGNORE, LONGEST, Task

MOST = 1024  # levels


def forecasting(generator: torch.Generator, length: int = 256, ahead: int = 4, levels: int = 32) -> Task:
    """Forecasting: in which of 32 equal steps between zero and the recording's largest value a current is 4 samples on.

    A token is a sample, in parts of that largest value; currents nearly repeat after five. Recordings are PLAID's, in
    its published split without the five that are in both parts; a fifth of its training recordings is held back.
    Windows to learn from are drawn at random, the others are the end of each recording. Before short ones come zeros
    without an answer.

    length   T
    ahead    samples from a token to the one that its answer is about
    levels   classes
    raises   ValueError, quoting it, for sizes below 1, fewer than 2 levels or more than 1,024
    """
    check_count("length", length, 1, LONGEST)
    check_count("ahead", ahead, 1, LONGEST)
    check_count("levels", levels, 2, MOST)
    learned, aside, tested = currents(generator, length + ahead)

    def asked(values: Tensor, real: Tensor) -> tuple[Tensor, Tensor]:
        answers = level(values[:, ahead:], levels).masked_fill(~real[:, :-ahead], IGNORE)
        return values[:, :-ahead].unsqueeze(-1), answers

    def draw(size: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        return asked(*learned.draw(size, length + ahead, generator))

    parts = {"valid": asked(*aside.last(length + ahead)), "test": asked(*tested.last(length + ahead))}
    sizes = {"length": length, "inputs": 1, "vocabulary": None, "classes": levels}
    return Task("forecasting", "fast", **sizes, pooling="none", draw=draw, **parts, endless=False)
