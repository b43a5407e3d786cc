"""S4ND's mixer: one fixed filter per axis of the image, both ways. Symbols: `lib/__init__.py`; P = H W patches.

A filter along the rows after one down the columns is one convolution in two dimensions, with the outer product of both
kernels: so it costs two transforms of one axis, and no kernel of H W numbers is ever made.
Source: Nguyen et al. (2022), https://arxiv.org/abs/2210.06583.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from lib.models.checks import check_precision, check_shape
from lib.models.ssm.mamba_block import fresh
from lib.models.ssm.s4d import S4D
from lib.models.ssm_vlm.block import Grid, grid_of

AXES = ("across", "down")


class S4NDBlock(nn.Module):
    """A mixer of patches: S4D both ways along each axis, GELU, and a linear layer whose one half gates the other.

    The four filters are `lib.models.ssm.s4d.S4D`, so that kernel distillation finds them.

    dim      D
    options  of each S4D: `states`, `init`, `dt_min`, `dt_max`, `discretisation`
    raises   ValueError, quoting it, for an input of another shape or dtype, and for a grid that has not its patches
    """

    def __init__(self, dim: int, *, generator: torch.Generator | None = None, **options):
        super().__init__()
        both = {axis: nn.ModuleList(S4D(dim, generator=generator, **options) for _ in range(2)) for axis in AXES}
        self.filters = nn.ModuleDict(both)
        self.out_proj = fresh(nn.Linear, dim, 2 * dim, generator=generator)

    def forward(self, x: Float[Tensor, "B P D"], grid: Grid | None = None) -> Float[Tensor, "B P D"]:
        """Mix P patches.

        grid   rows and columns of the patches; where left out, a square's
        """
        check_shape("input", x, "B", "P", self.out_proj.in_features)
        check_precision("input", x, self.out_proj)
        y = self.filtered(x.unflatten(1, grid_of(grid, x.shape[1])))
        return F.glu(self.out_proj(F.gelu(y.flatten(1, 2))), dim=-1)

    def filtered(self, image: Float[Tensor, "B H W D"]) -> Float[Tensor, "B H W D"]:
        """Both filters of the image: along its rows, then down its columns."""
        image = self._along("across", image)
        return self._along("down", image.transpose(1, 2)).transpose(1, 2)

    def _along(self, axis: str, lines: Float[Tensor, "B L T D"]) -> Float[Tensor, "B L T D"]:
        there, back = self.filters[axis]
        x = lines.flatten(0, 1)
        return (there(x) + back(x.flip(1)).flip(1)).unflatten(0, lines.shape[:2])
