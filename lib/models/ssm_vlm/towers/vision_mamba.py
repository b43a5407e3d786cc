"""Scans row by row, forward and backward. Source: Zhu et al. (2024), https://arxiv.org/abs/2401.09417."""

from collections.abc import Iterator

import torch
from torch import nn

from lib.models.ssm_vlm.block import VisionMambaBlock
from lib.models.ssm_vlm.tower import Sizes


def mixers(sizes: Sizes, *, generator: torch.Generator | None = None) -> Iterator[nn.Module]:
    """A block of two orders each."""
    return (VisionMambaBlock(sizes.mamba, generator=generator) for _ in range(sizes.blocks))
