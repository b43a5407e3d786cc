"""A scan of the image at a low rate: multi-resolution scanning in two dimensions.

The sequence chapter's low rate sees one token for r of them. Here one patch stands for r x r: the scan has a quarter
of the patches at r = 2. A depthwise convolution of 3 x 3 patches at the full rate keeps what varies between them.
Symbols: `lib/__init__.py`; P = H W patches.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from lib.models.checks import check_count, check_precision, check_shape
from lib.models.ssm.mamba_block import MambaConfig, fresh
from lib.models.ssm_vlm.block import Grid, VisionMambaBlock, grid_of

AROUND = 3  # patches by patches of the convolution


class LowRateBlock(nn.Module):
    """A mixer of patches: Vision Mamba's block on means of r x r patches, and a convolution at the full rate.

    factor   r, in both dimensions
    raises   ValueError, quoting it, for a factor below 1, for a grid that r does not divide, and for an input of
             another shape or dtype
    """

    def __init__(self, config: MambaConfig, factor: int = 2, *, generator: torch.Generator | None = None):
        super().__init__()
        check_count("factor", factor)
        self.factor = factor
        self.low = VisionMambaBlock(config, generator=generator)
        conv = {"groups": config.dim, "generator": generator}
        self.conv2d = fresh(nn.Conv2d, config.dim, config.dim, AROUND, **conv)

    def forward(self, x: Float[Tensor, "B P D"], grid: Grid | None = None) -> Float[Tensor, "B P D"]:
        """Mix P patches.

        grid   rows and columns of the patches; where left out, a square's
        """
        check_shape("input", x, "B", "P", self.low.config.dim)
        check_precision("input", x, self.low.in_proj)
        height, width = grid_of(grid, x.shape[1])
        if height % self.factor or width % self.factor:
            raise ValueError(f"grid = {(height, width)}: multiples of {self.factor}, which is factor, are needed")
        image = x.transpose(1, 2).unflatten(2, (height, width))
        few = F.avg_pool2d(image, self.factor)
        mixed = self.low(few.flatten(2).transpose(1, 2), tuple(few.shape[2:]))
        mixed = mixed.transpose(1, 2).unflatten(2, few.shape[2:])[:, :, :, None, :, None]
        near = F.silu(F.conv2d(image, self.conv2d.weight, self.conv2d.bias, padding=AROUND // 2, groups=x.shape[2]))
        spread = mixed.expand(-1, -1, -1, self.factor, -1, self.factor).flatten(4, 5).flatten(2, 3)
        return (near + spread).flatten(2).transpose(1, 2)
