"""A control of the form "low": its gated short convolution around Mamba blocks, with the blocks at the full rate.

What "low" gains or loses is due to its rate only as far as it differs from this one. Symbols: `lib/__init__.py`.
"""

from collections.abc import Iterator

import torch
from torch import nn

from lib.models.mrss.config import MrssConfig
from lib.models.mrss.low_rate import LowRate

FULL_RATE = True  # a factor of 1 does not make it the baseline


def check(config: MrssConfig) -> None:
    """Accept a factor of 1.

    raises   ValueError, quoting it, for another
    """
    if config.factor != 1:
        raise ValueError(f"factor = {config.factor}: {config.variant!r} runs at the full rate; 1 is needed")


def mixers(config: MrssConfig, *, generator: torch.Generator | None = None) -> Iterator[nn.Module]:
    """Mixers of the form "wrapped": one `LowRate` of factor 1 with all blocks."""
    yield LowRate(config.mamba, 1, config.mamba.layers, generator=generator)
