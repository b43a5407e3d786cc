"""Pruning by length: the patches of largest L2 norm, chosen before the first layer. Symbols: `lib/__init__.py`."""

from lib.models.clip.merge_schedules import kept
from lib.models.clip.reduction.base import Attended, Cut, Reduced
from lib.models.clip.tokens import Tokens, wide


class Norm(Reduced):
    """A vision tower that sees the patches of largest L2 norm; features are compared as the first layer gets them."""

    summarises = True

    def planned(self, patches: int) -> list[Cut]:
        """One cut, before the first layer."""
        return self.once(0, patches - kept(self.keep, patches))

    def fewer(self, tokens: Tokens, cut: Cut, attended: Attended | None) -> Tokens:
        """The class token and the longest of the others."""
        return self.best(tokens, cut, wide(tokens.x[:, tokens.classes :]).norm(dim=-1))


METHOD = Norm
