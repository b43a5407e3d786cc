"""Fixed filters along rows and columns. Source: Nguyen et al. (2022), https://arxiv.org/abs/2210.06583."""

from collections.abc import Iterator

import torch
from torch import nn

from lib.models.ssm_vlm.s4nd import S4NDBlock
from lib.models.ssm_vlm.tower import Sizes


def mixers(sizes: Sizes, *, generator: torch.Generator | None = None) -> Iterator[nn.Module]:
    """S4ND blocks."""
    made = sizes.mamba
    return (S4NDBlock(made.dim, states=made.states, generator=generator) for _ in range(sizes.blocks))
