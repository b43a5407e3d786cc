"""Pruning by the class token's attention, inside one layer. Symbols: `lib/__init__.py`.

With a summary it is EViT's step, in one layer where EViT has three. Source: Liang et al. (2022),
https://arxiv.org/abs/2202.07800.
"""

from lib.models.clip.merge_schedules import kept
from lib.models.clip.reduction.base import Attended, Cut, Reduced
from lib.models.clip.tokens import Tokens


class ClassAttention(Reduced):
    """A vision tower that keeps, from one layer on, the patches that the class token attends to most there."""

    summarises = reads_class = True

    def planned(self, patches: int) -> list[Cut]:
        """One cut, inside the chosen layer."""
        return self.once(1 + self.layer, patches - kept(self.keep, patches))

    def fewer(self, tokens: Tokens, cut: Cut, attended: Attended | None) -> Tokens:
        """The class token and those that it attends to most; a summary is the mean of the others by that attention."""
        scores = attended.by_class(tokens)
        if not self.summary:
            return self.best(tokens, cut, scores)
        return tokens.summarised(scores.topk(tokens.count - cut.count, dim=1).indices, scores)


METHOD = ClassAttention
