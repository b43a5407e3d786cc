"""Merging in early layers, then pruning by the class token's attention, half of the tokens by each.

The combination is ours. Symbols: `lib/__init__.py`.
"""

from lib.models.clip.merge_schedules import kept, merges
from lib.models.clip.reduction.base import Attended, Cut, Reduced
from lib.models.clip.reduction.merge import by_keys
from lib.models.clip.tokens import Tokens


class MergeThenPrune(Reduced):
    """A vision tower that merges similar tokens up to a layer, in which the class token then chooses among the rest."""

    reads_class = True

    @staticmethod
    def usual_layer(layers: int) -> int:
        """Number of the layer in which the class token chooses, by default the middle one."""
        return layers // 2

    def planned(self, patches: int) -> list[Cut]:
        """Cuts by merging inside the early layers, then one by choice."""
        counts = merges(self.schedule, patches, self.layer, (1 + self.keep) / 2)
        # A schedule of numbers may merge more than `keep` says; then there is nothing to choose.
        plan = self.once(1 + self.layer, max(0, patches - sum(counts) - kept(self.keep, patches)))
        plan[1 : 1 + self.layer] = [Cut(count, merging=True) for count in counts]
        return plan

    def fewer(self, tokens: Tokens, cut: Cut, attended: Attended | None) -> Tokens:
        """Tokens after the most similar pairs have become one, or those that the class token attends to most."""
        return by_keys(tokens, cut, attended) if cut.merging else self.best(tokens, cut, attended.by_class(tokens))


METHOD = MergeThenPrune
