"""One rate for a whole sequence, chosen from what its first segment holds. Symbols: `lib/__init__.py`."""

from collections.abc import Iterator

import torch
from torch import nn

from lib.models.mrss import dynamic_rate
from lib.models.mrss.config import MrssConfig
from lib.models.mrss.dynamic_rate import DynamicRate

SEVERAL = True  # factors at once

check = dynamic_rate.check


def mixers(config: MrssConfig, *, generator: torch.Generator | None = None) -> Iterator[nn.Module]:
    """Mixers of the form "sequence_rate": one `DynamicRate` with all blocks, which decides once."""
    factors = dynamic_rate.choices(config)
    yield DynamicRate(config.mamba, factors, config.mamba.layers, config.budget, once=True, generator=generator)
