"""A benchmark of milliseconds, and how it is trained."""

import torch

from lib.experiments.mrss_plans import Plan
from lib.tasks.data.sequences import Task, endless

PLAN = Plan("parity", 8, 4, {"low": (8,)}, dim=40, layers=2, states=4, options={"length": 16}, lengths=(24,))


def parity(generator: torch.Generator, length: int = 16, tested: int = 40) -> Task:
    """How many ones there are so far, modulo two, at every token."""

    def draw(size: int, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        x = torch.randint(2, (size, length), generator=generator)
        return x, x.cumsum(1) % 2

    return endless("parity", "recall", length, 2, draw, generator, vocabulary=2, tested=tested)
