"""Merging that protects informative tokens by their energy (PiToMe). Symbols: `lib/__init__.py`.

Source: Tran et al. (2024), https://arxiv.org/abs/2405.16148, as we read it: the margin falls from 0.9 to 0 over the
layers, and tokens of even and odd rank are paired. Their code, https://github.com/hchautran/PiToMe, pairs in the same
way; above the margin it counts a cosine less by the margin. The schedule is our own, that of the other mergers.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from lib.models.clip.merge import merged, ordered
from lib.models.clip.reduction.base import Attended, Cut
from lib.models.clip.reduction.merge import Merge
from lib.models.clip.tokens import Tokens, take, wide

MARGIN = 0.9  # of the cosines in the first layer


class PiToMe(Merge):
    """A vision tower in whose layers tokens of large, similar groups become one, and isolated tokens are protected."""

    def planned(self, patches: int) -> list[Cut]:
        """A cut inside every layer, which knows how deep it is."""
        layers = len(self.tower.layers)
        first, *inside = super().planned(patches)
        return [first, *(Cut(cut.count, True, passed=number / layers) for number, cut in enumerate(inside))]

    def fewer(self, tokens: Tokens, cut: Cut, attended: Attended | None) -> Tokens:
        """Tokens after the most similar pairs of those with the highest energy have become one."""
        metric, margin = wide(attended.key).mean(1), MARGIN * (1 - cut.passed)
        return merged(tokens, *matched_by_energy(metric, cut.count, tokens.classes, margin))


def energy(cosines: Float[Tensor, "B P P"], margin: float) -> Float[Tensor, "B P"]:
    """How many tokens are similar to each: the mean of its cosines, below the margin of exp(cosine - margin) - 1."""
    return torch.where(cosines >= margin, cosines, (cosines - margin).expm1()).mean(2)


def matched_by_energy(
    metric: Float[Tensor, "B S D"], count: int, classes: int, margin: float
) -> tuple[Int[Tensor, "B R"], Int[Tensor, "B R"]]:
    """Pairs among the 2 `count` tokens of highest energy: those of even rank, and their nearest of odd rank.

    metric    features that tokens are compared by
    returns   indices of the tokens of even rank, the highest energy first, and of their partners
    """
    unit = F.normalize(metric[:, classes:].float(), dim=-1)
    cosines = unit @ unit.mT
    order = ordered(-energy(cosines, margin))[:, : 2 * count]
    sources, targets = order[:, ::2], order[:, 1::2]
    near = take(cosines, sources).gather(2, targets.unsqueeze(1).expand(-1, count, -1)).argmax(2)
    return classes + sources, classes + targets.gather(1, near)


METHOD = PiToMe
