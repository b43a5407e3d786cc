"""Synthetic oscillators: two superposed frequencies, one of which no short window shows; a smooth task."""

import torch
from torch import Tensor

from lib.models.checks import check_count
from lib.tasks.data.sequences import LONGEST, Task, endless


def clocks(generator: torch.Generator, length: int = 128) -> Task:
    """Synthetic oscillators: which of 4 slow and which of 4 fast frequencies; random amplitudes and phases, and noise.

    The slow waves have 1 to 3.4 periods in the whole sequence; their random amplitude leaves no clue to a slope.
    """
    check_count("length", length, 1, LONGEST)
    slow, fast = torch.tensor([1, 1.5, 2.25, 3.375]) / length, 1 / torch.tensor([6.0, 8.0, 11.0, 15.0])
    time = torch.arange(length)

    def draw(size: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        chosen = torch.randint(4, (2, size), generator=generator)
        amplitude, phase = torch.rand(2, 2, size, 1, generator=generator)
        waves = [
            (0.5 + a) * torch.sin(2 * torch.pi * (frequency[number, None] * time + p))
            for frequency, number, a, p in zip((slow, fast), chosen, amplitude, phase, strict=True)
        ]
        x = sum(waves) + 0.3 * torch.randn(size, length, generator=generator)
        return x.unsqueeze(-1), 4 * chosen[0] + chosen[1]

    return endless("clocks", "smooth", length, 16, draw, generator, inputs=1)
