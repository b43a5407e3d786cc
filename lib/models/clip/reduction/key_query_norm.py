"""Pruning by the length of keys and queries, inside one layer. Symbols: `lib/__init__.py`.

The original report's later poster names norms of keys and queries, and gathers the positions of the patches it keeps.
How it joins the two norms is not said: here they are one vector, of all heads. Positions need no gathering, since they
are part of the features before any patch goes.
"""

from lib.models.clip.merge_schedules import kept
from lib.models.clip.reduction.base import Attended, Cut, Reduced
from lib.models.clip.tokens import Tokens, wide


class KeyQueryNorm(Reduced):
    """A vision tower that keeps, from one layer on, the patches whose keys and queries there are longest together."""

    summarises = True

    def planned(self, patches: int) -> list[Cut]:
        """One cut, inside the chosen layer.

        raises   ValueError, quoting it, where no layer is computed whole
        """
        count = patches - kept(self.keep, patches)
        if count and not self.depth:
            raise ValueError(
                f"keep = {self.keep}: patches go inside a layer, and with class_row_only none of 1 is whole"
            )
        return self.once(1 + self.layer, count) if count else [Cut()] * (1 + self.depth)

    def fewer(self, tokens: Tokens, cut: Cut, attended: Attended | None) -> Tokens:
        """The class token and those of the longest keys and queries."""
        squares = wide(attended.key).square().sum((1, 3)) + wide(attended.query).square().sum((1, 3))
        return self.best(tokens, cut, squares[:, tokens.classes :])


METHOD = KeyQueryNorm
