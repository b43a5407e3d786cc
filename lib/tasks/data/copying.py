"""Selective copying: items hidden in noise are repeated in order; a task of recall. Source: Gu and Dao (2023)."""

import torch
from torch import Tensor
from torch.nn import functional as F

from lib.models.checks import check_count
from lib.tasks.data.sequences import IGNORE, LONGEST, Task, endless


def copying(
    generator: torch.Generator, noise: int = 60, items: int = 4, vocabulary: int = 10, tested: int = 1024
) -> Task:
    """Selective copying: items stand anywhere among noise (0), and are repeated in order, at a cue (1) for each."""
    check_count("noise", noise, 1, LONGEST)
    check_count("items", items, 1, noise)
    check_count("vocabulary", vocabulary, 3)
    check_count("tested", tested)

    def draw(size: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        places = torch.rand(size, noise, generator=generator).argsort(1)[:, :items].sort(1).values
        hidden = torch.randint(2, vocabulary, (size, items), generator=generator)
        x = torch.zeros(size, noise, dtype=torch.long).scatter(1, places, hidden)
        answers = F.pad(hidden, (noise, 0), value=IGNORE)
        return F.pad(x, (0, items), value=1), answers

    return endless(
        "copying", "recall", noise + items, vocabulary, draw, generator, vocabulary=vocabulary, tested=tested
    )
