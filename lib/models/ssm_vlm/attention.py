"""Attention among all patches, as a mixer beside scans: one layer in four of a hybrid tower.

Symbols: `lib/__init__.py`; P patches.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from lib.models.checks import check_count, check_precision, check_shape
from lib.models.ssm.mamba_block import fresh
from lib.models.ssm_vlm.block import Grid


class AttentionBlock(nn.Module):
    """Attention of several heads by torch's fused kernel, every patch with every other.

    heads    a divisor of D
    raises   ValueError, quoting them, for heads that do not divide D, and for an input of another shape or dtype
    """

    def __init__(self, dim: int, heads: int, *, generator: torch.Generator | None = None):
        super().__init__()
        check_count("heads", heads, 1, dim)
        if dim % heads:
            raise ValueError(f"heads = {heads}: a divisor of {dim}, which is dim, is needed")
        self.heads = heads
        self.in_proj = fresh(nn.Linear, dim, 3 * dim, generator=generator)
        self.out_proj = fresh(nn.Linear, dim, dim, generator=generator)

    def forward(self, x: Float[Tensor, "B P D"], grid: Grid | None = None) -> Float[Tensor, "B P D"]:
        """Mix P patches; attention has no order, so the grid decides nothing."""
        check_shape("input", x, "B", "P", self.out_proj.in_features)
        check_precision("input", x, self.out_proj)
        queries, keys, values = self.in_proj(x).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        return self.out_proj(F.scaled_dot_product_attention(queries, keys, values).transpose(1, 2).flatten(2))
