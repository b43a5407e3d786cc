"""Plans of a token reduction: how many tokens go at each point of a tower. Symbols: `lib/__init__.py`."""

from collections.abc import Sequence
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Cut:
    """Tokens that go at one point of a tower.

    count     how many of them
    merging   whether they go into others, which become means; else they are left out
    after     whether they go after the layer, before the next one's attention, and not between attention and MLP
    passed    share of the layers that come before, for rules that change with depth
    """

    count: int = 0
    merging: bool = False
    after: bool = False
    passed: float = 0.0


@dataclass(frozen=True)
class Around:
    """What stands beside the patches' tokens at a cut.

    classes   number of class tokens
    summary   whether one token stands for those left out
    """

    classes: int
    summary: bool = False

    def left(self, count: int, cut: Cut) -> int:
        """Tokens after a cut of so many, the summary of those left out among them."""
        return count - cut.count + (self.summary and cut.count > 0 and not cut.merging)

    def counted(self, patches: int, plan: Sequence[Cut], class_row_only: bool = False) -> list[tuple[int, int]]:
        """Tokens in each layer's attention and in its MLP, the class token included.

        plan             cuts at all points, the one before the first layer first
        class_row_only   of one more layer, the class token alone is computed
        """
        first, *inside = plan
        counts, after = [], self.left(patches, first)
        for cut in inside:
            before, after = after, self.left(after, cut)
            counts.append((before + self.classes, (before if cut.after else after) + self.classes))
        return counts + [(after + self.classes, 1)] * class_row_only

    def tiled(self, patches: int, plan: Sequence[Cut], tile: int) -> list[Cut]:
        """A plan by which the number of tokens after each cut, the class token included, fills whole tiles.

        Matrix products run on tiles of 8, 16 or 64 rows, so that a tile that is begun costs as much as a whole one.
        Numbers are rounded up: never fewer tokens remain than by the plan. No more than half merge at once unless the
        plan has as many.

        tile      tokens; at 1 the plan stays as it is
        """
        if tile == 1:
            return [*plan]
        found, wanted, actual = [], patches, patches
        for cut in plan:
            wanted = self.left(wanted, cut)
            most = -(-(wanted + self.classes) // tile) * tile - self.classes
            comes = self.summary and not cut.merging  # the summary takes one of the tile's rows
            gone = actual + comes - most
            if not cut.count or gone <= comes:
                gone = 0
            elif cut.merging:
                gone = min(gone, max(cut.count, actual // 2))
            found.append(replace(cut, count=gone))
            actual = self.left(actual, found[-1])
        return found
