"""Pruning by length before each attention block, an equal share of the tokens each time. Symbols: `lib/__init__.py`.

The original report proposes it in part B, section 4.1; its code chooses once, before the first layer.
"""

from itertools import pairwise

from lib.models.clip.merge_schedules import kept
from lib.models.clip.reduction.base import Attended, Cut, Reduced
from lib.models.clip.tokens import Tokens, wide


class NormEachLayer(Reduced):
    """A vision tower that keeps the patches of largest L2 norm before each attention block.

    Before each of L blocks a share `keep ** (1 / L)` of the patches remains, so that `keep` of them enter the last.
    """

    def planned(self, patches: int) -> list[Cut]:
        """A cut before the first layer, and one after each but the last."""
        blocks = len(self.tower.layers)
        left = [patches, *(kept(self.keep ** (number / blocks), patches) for number in range(1, blocks + 1))]
        cuts = [Cut(one - other, after=number > 0) for number, (one, other) in enumerate(pairwise(left))]
        return cuts + [Cut()] * (1 + self.depth - blocks)

    def fewer(self, tokens: Tokens, cut: Cut, attended: Attended | None) -> Tokens:
        """The class token and the longest of the others."""
        return self.best(tokens, cut, wide(tokens.x[:, tokens.classes :]).norm(dim=-1))


METHOD = NormEachLayer
