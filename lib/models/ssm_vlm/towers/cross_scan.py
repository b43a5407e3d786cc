"""Scans in four directions. Source: Liu et al. (2024), https://arxiv.org/abs/2401.10166.

Of VMamba the orders alone: its convolution is one in two dimensions, its tower a pyramid.
"""

from collections.abc import Iterator

import torch
from torch import nn

from lib.models.ssm_vlm.block import VisionMambaBlock
from lib.models.ssm_vlm.orders import CROSS_SCAN
from lib.models.ssm_vlm.tower import Sizes


def mixers(sizes: Sizes, *, generator: torch.Generator | None = None) -> Iterator[nn.Module]:
    """A block of four orders each."""
    return (VisionMambaBlock(sizes.mamba, CROSS_SCAN, generator=generator) for _ in range(sizes.blocks))
