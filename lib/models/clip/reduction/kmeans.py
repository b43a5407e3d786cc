"""Merging by K-means inside one layer, which takes more than a matching. Symbols: `lib/__init__.py`.

Source: clusters of tokens as in Marin et al. (2021), https://arxiv.org/abs/2110.03860, who train with them. Here there
is no training, attention weighs a token by its patches, and Lloyd's algorithm begins at patches that are evenly spaced,
so that nothing is drawn; after few iterations the grouping is a good one, and not the best.
"""

from dataclasses import replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lib.models.clip.merge_schedules import kept
from lib.models.clip.reduction.base import Attended, Cut, Reduced
from lib.models.clip.tokens import Tokens, wide

ITERATIONS = 10


class KMeans(Reduced):
    """A vision tower in which, inside one layer, patches become the means of as many groups as tokens are to remain."""

    def planned(self, patches: int) -> list[Cut]:
        """One cut, inside the chosen layer."""
        plan = self.once(1 + self.layer, patches - kept(self.keep, patches))
        return [replace(cut, merging=cut.count > 0) for cut in plan]

    def fewer(self, tokens: Tokens, cut: Cut, attended: Attended | None) -> Tokens:
        """The class token, and a token for each group: the mean of its patches."""
        first = tokens.classes
        x, groups = tokens.x[:, first:], tokens.count - cut.count
        of = grouped(wide(x), groups)
        means, sizes = _means(wide(x), of, groups)
        places = None if tokens.places is None else of.gather(1, tokens.places - first) + first
        return Tokens(
            torch.cat([tokens.x[:, :first], means.to(x.dtype)], dim=1),
            torch.cat([tokens.sizes[:, :first], sizes.to(tokens.sizes.dtype)], dim=1),
            places,
            first,
            single=False,
        )


def grouped(x: Float[Tensor, "B P D"], groups: int) -> Int[Tensor, "B P"]:
    """The group of every patch, after some iterations of Lloyd's algorithm.

    groups   at most as many as patches; one that loses all its patches stays where it was, and empty unless some return
    """
    start = torch.linspace(0, x.shape[1] - 1, groups, device=x.device).round().long()
    with torch.no_grad():
        centres = x[:, start]
        for _ in range(ITERATIONS):
            of = _nearest(x, centres)
            means, sizes = _means(x, of, groups)
            centres = torch.where(sizes.unsqueeze(-1) > 0, means, centres)
        return _nearest(x, centres)


def _nearest(x: Float[Tensor, "B P D"], centres: Float[Tensor, "B K D"]) -> Int[Tensor, "B P"]:
    # The square of x is the same for all centres.
    return (centres.square().sum(-1).unsqueeze(1) - 2 * x @ centres.mT).argmin(-1)


def _means(
    x: Float[Tensor, "B P D"], of: Int[Tensor, "B P"], groups: int
) -> tuple[Float[Tensor, "B K D"], Float[Tensor, "B K"]]:
    """Means and sizes of groups; zero for an empty one."""
    sizes = x.new_zeros(len(x), groups).scatter_add(1, of, x.new_ones(of.shape))
    sums = x.new_zeros(len(x), groups, x.shape[2]).scatter_add(1, of.unsqueeze(-1).expand_as(x), x)
    return sums / sizes.clamp(min=1).unsqueeze(-1), sizes


METHOD = KMeans
