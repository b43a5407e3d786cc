"""Tagging of a generated signal with a slow and a fast part: an answer at every token, and two known scales."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lib.models.checks import check_count
from lib.tasks.data.sequences import LONGEST, Task, endless

SLOW = (48, 96, 192, 384)  # periods of the slow states [tokens]; all divide SLOW_GRID
FAST = (3, 4, 6, 8)  # and of the fast ones, which divide FAST_GRID
SLOW_GRID, FAST_GRID = 384, 24  # phases of a wave
SLOW_DWELL, FAST_DWELL = 256, 16  # mean tokens until a state changes
SLOW_AMPLITUDE, FAST_AMPLITUDE, NOISE = 1.0, 1.0, 0.5


def tagging(generator: torch.Generator, length: int = 1024, tested: int = 256) -> Task:
    """Tagging: which of 4 slow and of 4 fast states is on, at every token, from one noisy sum of two waves.

    Two hidden states change at random, one after 256 tokens on average, one after 16; each is the period of a wave,
    whose phase goes on. Scales: 48 to 384 tokens a period of the slow wave, 3 to 8 of the fast one. The class of a
    token is 4 * slow + fast, at that token: what comes later is of no use to a causal model. Bayes' rule gives the best
    accuracy that there is, since states and phases form a Markov chain; the tests compute it.

    length   T
    tested   sequences of the test, and as many others that are held back
    raises   ValueError, quoting it, for a length or a number below 1, or a length above 65,536
    """
    check_count("length", length, 1, LONGEST)
    check_count("tested", tested)

    def draw(size: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        slow, drift = wave(size, length, SLOW, SLOW_GRID, SLOW_DWELL, generator)
        fast, pattern = wave(size, length, FAST, FAST_GRID, FAST_DWELL, generator)
        noise = torch.randn(size, length, generator=generator)
        signal = SLOW_AMPLITUDE * drift + FAST_AMPLITUDE * pattern + NOISE * noise
        return signal.unsqueeze(-1), len(FAST) * slow + fast

    classes = len(SLOW) * len(FAST)
    return endless("tagging", "two scales", length, classes, draw, generator, inputs=1, pooling="none", tested=tested)


def wave(
    size: int, length: int, periods: tuple[int, ...], grid: int, dwell: int, generator: torch.Generator
) -> tuple[Int[Tensor, "B T"], Float[Tensor, "B T"]]:
    """Draw states, each with a period, and the sine of a phase that goes on with the period of the state.

    grid      phases that there are, a multiple of all periods
    dwell     a state changes to one of the others with probability 1 / dwell at a token
    returns   numbers of the states, and values from -1 to 1
    """
    changed = torch.rand(size, length, generator=generator) < 1 / dwell
    other = torch.randint(1, len(periods), (size, length), generator=generator)
    first = torch.randint(len(periods), (size, 1), generator=generator)
    states = (first + (changed * other).cumsum(1)) % len(periods)
    advance = grid // torch.tensor(periods)
    phases = (torch.randint(grid, (size, 1), generator=generator) + advance[states].cumsum(1)) % grid
    return states, (2 * torch.pi / grid * phases).sin()
