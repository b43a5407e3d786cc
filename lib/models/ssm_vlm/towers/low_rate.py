"""One block at the full rate, the others at a quarter of the patches."""

from collections.abc import Iterator

import torch
from torch import nn

from lib.models.ssm_vlm.block import VisionMambaBlock
from lib.models.ssm_vlm.low_rate import LowRateBlock
from lib.models.ssm_vlm.tower import Sizes


def mixers(sizes: Sizes, *, generator: torch.Generator | None = None) -> Iterator[nn.Module]:
    """The first block scans all patches."""
    yield VisionMambaBlock(sizes.mamba, generator=generator)
    yield from (LowRateBlock(sizes.mamba, generator=generator) for _ in range(1, sizes.blocks))
