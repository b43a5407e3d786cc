"""Pruning by lot, the baseline of every choice. Symbols: `lib/__init__.py`."""

import torch

from lib.models.clip.merge_schedules import kept
from lib.models.clip.reduction.base import Attended, Cut, Reduced
from lib.models.clip.tokens import Tokens


class Random(Reduced):
    """A vision tower that sees patches drawn at random, the same for all images; `seed` decides which."""

    summarises = True

    def planned(self, patches: int) -> list[Cut]:
        """One cut, before the first layer."""
        return self.once(0, patches - kept(self.keep, patches))

    def fewer(self, tokens: Tokens, cut: Cut, attended: Attended | None) -> Tokens:
        """The class token and some of the others, drawn by lot."""
        # One pattern for all images, so that what is kept of one does not depend on its neighbours in the batch.
        generator = torch.Generator().manual_seed(self.seed)
        scores = torch.rand(tokens.count, generator=generator).to(tokens.x.device)
        return self.best(tokens, cut, scores.expand(len(tokens), -1))


METHOD = Random
