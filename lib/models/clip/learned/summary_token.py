"""A learned token in the place of the patches that are left out. Symbols: `lib/__init__.py`.

The original report proposes it in part B, section 4.1; its code puts the mean of all patches in the place of the class
token.
"""

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lib.models.clip.learned.base import Learned
from lib.models.clip.reduction.base import Cut
from lib.models.clip.reduction.norm import Norm
from lib.models.clip.tokens import Tokens


class SummaryToken(Learned, Norm):
    """A vision tower that keeps the patches of largest L2 norm, and one learned token, the same for all images."""

    def begun(self, width: int) -> nn.Module:
        """A token of zeros."""
        return nn.ParameterDict({"token": torch.zeros(width)})

    def best(self, tokens: Tokens, cut: Cut, scores: Float[Tensor, "B P"]) -> Tokens:
        """Tokens of the highest scores, and what stands for the others."""
        found = super().best(tokens, cut, scores)
        kept, mean = found.x[:, :-1], found.x[:, -1:]
        return replace(found, x=torch.cat([kept, self.standing(mean)], dim=1))

    def standing(self, mean: Float[Tensor, "B 1 D"]) -> Float[Tensor, "B 1 D"]:
        """What stands for the patches that are left out.

        mean   of them
        """
        return self.learned["token"].to(mean.dtype).expand_as(mean)


METHOD = SummaryToken
