"""Dropping of tokens that many others are similar to, early (SAINT). Symbols: `lib/__init__.py`.

Source: Jeddi et al. (2025), https://arxiv.org/abs/2503.11549: the score of redundancy is that of the authors' code. The
number of tokens that go is a mean over the batch there, so that an image's result depends on its neighbours; here a
schedule says how many go, by default most in the first layers.
"""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from lib.models.clip.merge import dropped, ordered
from lib.models.clip.reduction.base import Attended, Cut
from lib.models.clip.reduction.merge import Merge
from lib.models.clip.tokens import Tokens, wide

THRESHOLD, SHARPNESS = 0.7, 10.0


class Saint(Merge):
    """A vision tower in whose layers the tokens with the most similar neighbours are left out, as a schedule says."""

    def planned(self, patches: int) -> list[Cut]:
        """A cut inside every layer, by which tokens go and do not merge."""
        return [Cut(cut.count) for cut in super().planned(patches)]

    def fewer(self, tokens: Tokens, cut: Cut, attended: Attended | None) -> Tokens:
        """Tokens without the most redundant of those with an even number, counted after the class token."""
        scores = redundancy(wide(attended.key).mean(1)[:, tokens.classes :])
        return dropped(tokens, tokens.classes + 2 * ordered(-scores)[:, : cut.count])


def redundancy(metric: Float[Tensor, "B P D"]) -> Float[Tensor, "B E"]:
    """Redundancy of every even token: how many odd ones are similar to it, times how much they are.

    metric    features that tokens are compared by; at least two tokens
    returns   n exp(SHARPNESS (mean - THRESHOLD)) over the n odd tokens whose cosine reaches the threshold; of tokens
              without any the mean cosine with all odd ones
    """
    unit = F.normalize(metric.float(), dim=-1)
    cosines = unit[:, ::2] @ unit[:, 1::2].mT
    near = cosines >= THRESHOLD
    number = near.sum(2)
    mean = (cosines * near).sum(2) / number.clamp(min=1)
    return torch.where(number > 0, number * (SHARPNESS * (mean - THRESHOLD)).exp(), cosines.mean(2))


METHOD = Saint
