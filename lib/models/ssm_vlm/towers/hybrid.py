"""Of four blocks three scan and one attends."""

from collections.abc import Iterator

import torch
from torch import nn

from lib.models.ssm_vlm.attention import AttentionBlock
from lib.models.ssm_vlm.block import VisionMambaBlock
from lib.models.ssm_vlm.tower import Sizes

EVERY = 4  # blocks of which the last attends


def mixers(sizes: Sizes, *, generator: torch.Generator | None = None) -> Iterator[nn.Module]:
    """Vision Mamba's blocks, every fourth of them attention."""
    for number in range(1, sizes.blocks + 1):
        if number % EVERY:
            yield VisionMambaBlock(sizes.mamba, generator=generator)
        else:
            yield AttentionBlock(sizes.mamba.dim, sizes.heads, generator=generator)
