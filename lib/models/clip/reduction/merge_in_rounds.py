"""Merging of similar tokens before the first layer and inside the others, matched by their features, in rounds.

The rounds are ours: `lib.models.clip.merge.merged_in_rounds`. Symbols: `lib/__init__.py`.
"""

from lib.models.clip.merge import merged_in_rounds
from lib.models.clip.merge_schedules import merges
from lib.models.clip.reduction.base import Attended, Cut, Reduced
from lib.models.clip.tokens import Tokens


class MergeInRounds(Reduced):
    """A vision tower in which similar tokens become one, at every point in several rounds of matching."""

    def planned(self, patches: int) -> list[Cut]:
        """A cut at every point."""
        counts = merges(self.schedule, patches, 1 + self.depth, self.keep, in_rounds=True)
        return [Cut(count, merging=True) for count in counts]

    def fewer(self, tokens: Tokens, cut: Cut, attended: Attended | None) -> Tokens:
        """Tokens after similar ones have become one, round by round."""
        return merged_in_rounds(tokens, cut.count)


METHOD = MergeInRounds
