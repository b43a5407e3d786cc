"""Pruning by lot, the baseline of every choice. Symbols: `lib/__init__.py`."""

import torch
from torch.utils._python_dispatch import _disable_current_modes

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
        scores = torch.tensor(_drawn(tokens.count, self.seed), device=tokens.x.device)
        return self.best(tokens, cut, scores.expand(tokens.x.shape[0], -1))


@torch.compiler.assume_constant_result  # a compiler cannot make generators
def _drawn(count: int, seed: int) -> list[float]:
    # Neither a mode without memory, nor one that traces or maps, sees these numbers being made.
    with _disable_current_modes(), torch._C._DisableFuncTorch():
        return torch.rand(count, generator=torch.Generator().manual_seed(seed)).tolist()


METHOD = Random
