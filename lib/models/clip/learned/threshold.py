"""A threshold learned per image, so that every image keeps its own number of patches. Symbols: `lib/__init__.py`.

The original report proposes it in part B, section 7.3, as adaptive pruning; what it is learned by is ours.
"""

import copy

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F
from transformers.modeling_outputs import BaseModelOutputWithPooling as Output

from lib.models.clip.buckets import InBuckets
from lib.models.clip.learned.base import Learned
from lib.models.clip.reduction.base import Attended, Cut
from lib.models.clip.tokens import Tokens, wide
from lib.models.clip.tower.record import Record

SOFT = 0.25  # logarithms of attention over which a patch fades in while a threshold is learned
LEAST = 1e-4  # of a patch: what has gone entirely would have no gradient


class Threshold(Learned, InBuckets):
    """A vision tower that keeps, from one layer on, the patches whose attention lies above a threshold of the image.

    The score of a patch is the logarithm of the class token's attention to it, relative to the mean over patches; the
    threshold is a linear function of the class token there. Images are computed in buckets of equal length.

    margins   where a list, every patch stays and weighs as much as it lies above the threshold, and by how much is
              appended
    """

    margins: list[Tensor] | None = None

    def begun(self, width: int) -> nn.Module:
        """One threshold for all images: the mean."""
        made = nn.Linear(width, 1)
        nn.init.zeros_(made.weight)
        nn.init.zeros_(made.bias)
        return made

    def softly(self) -> "Threshold":
        """A tower whose patches fade around the threshold."""
        other = copy.copy(self)
        other.margins = []
        return other

    def off_budget(self) -> Float[Tensor, ""]:
        """Squared difference of the patches' mean weight, of the last call, and `keep`.

        raises   ValueError where no call of a tower of `softly` left a weight
        """
        if not self.margins:
            raise ValueError("off_budget: it is of a tower of `softly`, after a call by which some patches go")
        return (torch.sigmoid(self.margins[-1] / SOFT).mean() - self.keep) ** 2

    @torch.no_grad()
    def settle(self, pixels: Float[Tensor, "B C H W"], batch: int = 250) -> None:
        """Move all thresholds alike, so that these images keep the share that is wanted, on average."""
        view = self.softly()
        for part in pixels.split(batch):
            view(part)
        if view.margins:  # none where all patches are kept
            above = torch.cat(view.margins).flatten()
            left = min(len(above) - 1, round((1 - self.keep) * len(above)))
            self.learned.bias += above.kthvalue(1 + left).values.to(self.learned.bias.dtype)

    def fewer(self, tokens: Tokens, cut: Cut, attended: Attended | None) -> Tokens:
        """The class token and the patches above the threshold; while it is learned all, by weight."""
        if self.margins is None:
            return super().fewer(tokens, cut, attended)
        above = self._above(attended.by_class(tokens), tokens)
        self.margins.append(above)
        shares = torch.sigmoid(above / SOFT).clamp(min=LEAST)
        sizes = torch.cat([tokens.sizes[:, : tokens.classes], shares.to(tokens.sizes.dtype)], dim=1)
        return Tokens(tokens.x, sizes, tokens.places, tokens.classes, single=False)

    def valid(self, values: Float[Tensor, "B P"], tokens: Tokens) -> Bool[Tensor, "B P"]:
        """Which patches are kept, the most attended to first."""
        return self._above(values, tokens) >= 0

    def _above(self, values: Float[Tensor, "B P"], tokens: Tokens) -> Float[Tensor, "B P"]:
        relative = values / values.mean(1, keepdim=True)
        seen = F.layer_norm(wide(tokens.x[:, 0]), tokens.x.shape[-1:])
        limit = F.linear(seen, *(wide(one) for one in self.learned.parameters()))
        return relative.clamp(min=torch.finfo(relative.dtype).tiny).log() - limit

    def _walked(self, pixels: Tensor, interpolate: bool | None, record: Record, placed: bool) -> tuple[Output, Tokens]:
        # While it is learned, all patches of all images stay beside each other.
        return super()._walked(pixels, interpolate, record, placed or self.margins is not None)


METHOD = Threshold
