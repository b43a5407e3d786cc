"""Two temporal resolutions one after the other: the first blocks at the full rate, the others at T / r."""

from collections.abc import Iterator

import torch
from torch import nn

from lib.models.mrss.config import MrssConfig, check_both_rates
from lib.models.mrss.low_rate import LowRate
from lib.models.ssm.mamba_block import MambaBlock

check = check_both_rates


def mixers(config: MrssConfig, *, generator: torch.Generator | None = None) -> Iterator[nn.Module]:
    """Mixers of the form "hybrid": `full` Mamba blocks, then a `LowRate` with the other ones."""
    yield from (MambaBlock(config.mamba, generator=generator) for _ in range(config.at_full))
    layers = config.mamba.layers - config.at_full
    yield LowRate(config.mamba, config.factor, layers, generator=generator)
