"""Merging of similar tokens inside every layer, matched by their keys (ToMe). Symbols: `lib/__init__.py`.

Source: Bolya et al. (2023), https://arxiv.org/abs/2210.09461.
"""

from lib.models.clip.merge import match, merged
from lib.models.clip.merge_schedules import kept, merges
from lib.models.clip.reduction.base import Attended, Cut, Reduced
from lib.models.clip.tokens import Tokens, wide


class Merge(Reduced):
    """A vision tower in whose layers the most similar tokens become one, as many in each as a schedule says."""

    def planned(self, patches: int) -> list[Cut]:
        """A cut inside every layer."""
        if not self.depth and kept(self.keep, patches) < patches:
            raise ValueError(
                f"keep = {self.keep}: tokens merge inside layers, and with class_row_only none of 1 is whole"
            )
        counts = merges(self.schedule, patches, self.depth, self.keep)
        return [Cut(), *(Cut(count, merging=True) for count in counts)]

    def fewer(self, tokens: Tokens, cut: Cut, attended: Attended | None) -> Tokens:
        """Tokens after the most similar pairs have become one."""
        return by_keys(tokens, cut, attended)


def by_keys(tokens: Tokens, cut: Cut, attended: Attended) -> Tokens:
    """Tokens after the most similar pairs have merged, compared by the mean of their keys over heads."""
    return merged(tokens, *match(wide(attended.key).mean(1), cut.count, tokens.classes))


METHOD = Merge
