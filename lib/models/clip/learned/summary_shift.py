"""The mean of the patches that are left out, and a learned part. Symbols: `lib/__init__.py`.

Ours, between the original report's words, a learnable token, and its code, a mean.
"""

from jaxtyping import Float
from torch import Tensor

from lib.models.clip.learned.summary_token import SummaryToken


class SummaryShift(SummaryToken):
    """A vision tower that keeps the patches of largest L2 norm, and the mean of the others plus a learned token."""

    def standing(self, mean: Float[Tensor, "B 1 D"]) -> Float[Tensor, "B 1 D"]:
        """The mean, moved by what is learned."""
        return mean + super().standing(mean)


METHOD = SummaryShift
