"""Induction heads: what once followed a token is repeated; a task of recall. Source: Olsson et al. (2022)."""

import torch
from torch import Tensor
from torch.nn import functional as F

from lib.models.checks import check_count
from lib.tasks.data.sequences import IGNORE, LONGEST, Task, endless


def induction(generator: torch.Generator, length: int = 64, vocabulary: int = 10, tested: int = 1024) -> Task:
    """Induction: a cue (0) stands once among random tokens, and at the end; the answer is what followed it."""
    check_count("length", length, 3, LONGEST)
    check_count("vocabulary", vocabulary, 2)
    check_count("tested", tested)

    def draw(size: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        x = torch.randint(1, vocabulary, (size, length), generator=generator)
        place = torch.randint(length - 2, (size, 1), generator=generator)
        followed = x.gather(1, place + 1)
        x = x.scatter(1, place, 0)
        x[:, -1] = 0
        return x, F.pad(followed, (length - 1, 0), value=IGNORE)

    return endless("induction", "recall", length, vocabulary, draw, generator, vocabulary=vocabulary, tested=tested)
