"""Pruning to a share of the class token's attention, so that every image keeps its own number of patches.

The budget is ours. Symbols: `lib/__init__.py`.
"""

from jaxtyping import Bool, Float
from torch import Tensor

from lib.kernels.eager import readable
from lib.models.clip.merge_schedules import kept
from lib.models.clip.reduction.base import Attended, Cut, Reduced
from lib.models.clip.tokens import Tokens


class Adaptive(Reduced):
    """A vision tower that keeps, from one layer on, the fewest patches that hold a share of the attention there.

    The share is that of the class token's attention to all patches. Images of a batch that keep fewer patches than
    another one are filled up with tokens of size 0, which nothing attends to.
    """

    reads_class = per_image = True

    def planned(self, patches: int) -> list[Cut]:
        """One cut, inside the chosen layer, none where `keep` rounds to all patches.

        Its count is that of a share of the patches, which `sliced` cuts by; images keep numbers of their own.
        """
        return self.once(1 + self.layer, patches - kept(self.keep, patches))

    def plan(self, patches: int) -> list[Cut]:
        """As planned: what fills whole tiles is the batch, not the image."""
        return self.planned(patches)

    def padded(self, count: int) -> int:
        """Number of tokens that fills whole tiles."""
        return -(-count // self.tile) * self.tile

    def fewer(self, tokens: Tokens, cut: Cut, attended: Attended | None) -> Tokens:
        """The class token and, of each image, the fewest that hold the share of its attention."""
        values, order = attended.by_class(tokens).sort(dim=1, descending=True)
        valid = self.valid(values, tokens)
        valid[:, :1] = True  # where so small a share rounds to nothing
        # A graph that is compiled or exported holds for all images: for those that need every patch.
        most = int(valid.sum(1).max()) if readable(valid) else valid.shape[1]
        most = min(valid.shape[1], self.padded(most + tokens.classes) - tokens.classes)
        return tokens.kept(order[:, :most], valid[:, :most])

    def valid(self, values: Float[Tensor, "B P"], tokens: Tokens) -> Bool[Tensor, "B P"]:
        """Which patches are kept.

        values   the class token's attention to patches, the highest first
        """
        before = values.cumsum(1) - values  # what the patches of a higher score hold
        return before < self.keep * values.sum(1, keepdim=True)

    def seen(self, patches: int, chosen: int | None = None) -> list[tuple[int, int]]:
        """Tokens in each layer for an image that keeps `chosen` patches.

        raises   ValueError without that number
        """
        if chosen is None:
            raise ValueError(f"chosen = None: with method = {self.method!r} every image has its own number of tokens")
        return self.around.counted(patches, self.once(1 + self.layer, patches - chosen), self.class_row_only)


METHOD = Adaptive
