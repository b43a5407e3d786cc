"""A decoder that makes a saliency map of a grid of tokens, as its graph has it. Symbols: `lib/__init__.py`."""

import math

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from lib.models.checks import check_shape
from lib.models.clip.vit.graph import DECODER, STEPS, Sizes


class Decoder(nn.Module):
    """Three transposed convolutions, each of which doubles the grid's sides, and a map of one number per pixel.

    sizes, weights   as `lib.models.clip.vit.graph.read` returns them
    """

    def __init__(self, sizes: Sizes, weights: dict[str, Tensor]):
        super().__init__()
        self.side, self.width = sizes.side, sizes.width
        for step, (before, after) in enumerate(zip((sizes.width, *sizes.channels), sizes.channels, strict=False), 1):
            self.add_module(f"upconv{step}", nn.ConvTranspose2d(before, after, 4, stride=2, padding=1))
            self.add_module(f"bn{step}", nn.BatchNorm2d(after))
        self.final_conv = nn.Conv2d(sizes.channels[-1], 1, 1)
        own = {name.removeprefix(f"{DECODER}."): weight for name, weight in weights.items() if name.startswith(DECODER)}
        counts = {f"bn{step}.num_batches_tracked": weights[f"{DECODER}.bn1.bias"].new_zeros(()) for step in (1, 2, 3)}
        self.load_state_dict(own | counts)
        self.eval()

    def forward(self, patches: Float[Tensor, "B P D"]) -> Float[Tensor, "B side side"]:
        """Saliency of every pixel, from 0 to 1.

        patches   normed tokens of a square grid, row by row
        raises    ValueError, quoting the shape, for a grid that is no square
        """
        check_shape("patches", patches, "B", "P", self.width)
        side = math.isqrt(patches.shape[1])
        if side**2 != patches.shape[1]:
            raise ValueError(f"patches of shape {tuple(patches.shape)}: a square grid of them is needed")
        x = patches.mT.unflatten(2, (side, side))
        for step in range(1, STEPS + 1):
            x = getattr(self, f"bn{step}")(getattr(self, f"upconv{step}")(x)).relu()
        x = F.interpolate(self.final_conv(x), size=(self.side, self.side), mode="bilinear", align_corners=False)
        return x[:, 0].sigmoid()
