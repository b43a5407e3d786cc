"""Tokens on their way through a tower, and where each patch of the image has gone. Symbols: `lib/__init__.py`."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F

from lib.kernels.eager import readable

GONE = -1  # the place of a patch that no token holds any more


@dataclass(frozen=True)
class Tokens:
    """Some of a tower's tokens.

    x        their features; the class token, where there is one, is the first
    sizes    number of patches that each is the mean of; one for a class token, none for padding of a batch; at least
             in single precision, since half precision does not count beyond 256
    places   of every patch of the image the index of the token that holds it, or GONE; None where nobody reads them
    classes  number of class tokens, 0 or 1
    single   whether each is one patch: nothing has merged yet, and there is no padding
    """

    x: Float[Tensor, "B S D"]
    sizes: Float[Tensor, "B S"]
    places: Int[Tensor, "B P"] | None
    classes: int
    single: bool = True

    @classmethod
    def of(cls, x: Float[Tensor, "B S D"], classes: int, placed: bool = True) -> "Tokens":
        """Tokens as they enter a tower, one patch each.

        classes   number of class tokens among them, at the start
        placed    whether places are kept; that takes more operators at a merger than the merger itself
        """
        places = torch.arange(classes, x.shape[1], device=x.device).expand(x.shape[0], -1) if placed else None
        return cls(x, wide(x.new_ones(x.shape[:2])), places, classes)

    @property
    def count(self) -> int:
        """Number of tokens without the class token, padding included."""
        return int(self.x.shape[1]) - self.classes  # a number, too, where a trace has tensors for sizes

    @property
    def weights(self) -> Float[Tensor, "B S"] | None:
        """Sizes as attention needs them; None where all are one."""
        return None if self.single else self.sizes

    def __len__(self) -> int:
        return len(self.x)

    def kept(self, chosen: Int[Tensor, "B K"], valid: Bool[Tensor, "B K"] | None = None) -> "Tokens":
        """The class token and some of the others, in their order; patches of the rest are gone.

        chosen   indices of tokens, counted without the class token, each at most once per image
        valid    which of them are kept; the others are padding, at the end
        """
        if valid is not None:
            chosen = chosen.masked_fill(~valid, self.count)
        whole = torch.arange(self.classes, device=chosen.device).expand(len(self), -1)
        chosen = torch.cat([whole, chosen.sort(dim=1).values + self.classes], dim=1)
        if valid is None:
            places = moved(self.places, self.x.shape[1], chosen)
            return replace(self, x=take(self.x, chosen), sizes=self.sizes.gather(1, chosen), places=places)
        places = moved(self.places, self.x.shape[1] + 1, chosen)  # what fills up goes past the end
        filling = chosen == self.x.shape[1]
        chosen = chosen.masked_fill(filling, 0)
        sizes = self.sizes.gather(1, chosen).masked_fill(filling, 0)
        return replace(self, x=take(self.x, chosen), sizes=sizes, places=places, single=False)

    def sliced(self, count: int) -> "Tokens":
        """The class token and the first `count` of the others; `places` stays as it was."""
        last = self.classes + count
        return replace(self, x=self.x[:, :last], sizes=self.sizes[:, :last])

    def summarised(self, chosen: Int[Tensor, "B K"], weights: Float[Tensor, "B P"] | None = None) -> "Tokens":
        """The class token, some of the others, and at the end the mean of the rest, which weighs as one token.

        chosen    as in `kept`; the patches of the rest are held by their mean
        weights   of the tokens without the class token, positive: the mean's; their sizes where left out
        """
        none = torch.zeros_like(chosen, dtype=torch.bool)
        left = torch.ones_like(self.sizes, dtype=torch.bool).scatter(1, chosen + self.classes, none)
        left[:, : self.classes] = False
        weighed = self.sizes if weights is None else F.pad(wide(weights), (self.classes, 0))
        shares = (weighed * left).unsqueeze(-1)
        mean = ((wide(self.x) * shares).sum(1, keepdim=True) / shares.sum(1, keepdim=True)).to(self.x.dtype)
        tokens, number = self.kept(chosen), self.classes + chosen.shape[1]
        places = self.places
        if places is not None:
            places = torch.where(left.gather(1, places.clamp(min=0)) & (places >= 0), number, tokens.places)
        sizes = torch.cat([tokens.sizes, torch.ones_like(tokens.sizes[:, :1])], dim=1)
        return replace(tokens, x=torch.cat([tokens.x, mean], dim=1), sizes=sizes, places=places)

    def nearest(self, rows: int, columns: int) -> "Tokens":
        """The same tokens, where patches that were gone are held by the token of the nearest patch that is not.

        rows, columns   of the grid of patches, which are numbered row by row; of two at one distance the first counts
        raises          ValueError, quoting it, for a grid of another number of patches, and where places were not kept
        """
        if self.places is None:
            raise ValueError("nearest: where patches have gone was not kept: Tokens.of(..., placed=True) does")
        if rows * columns != self.places.shape[1]:
            raise ValueError(f"rows = {rows}, columns = {columns}: a grid of {self.places.shape[1]} patches is needed")
        gone = self.places == GONE
        at = torch.arange(rows * columns, device=gone.device)
        down, across = ((one[:, None] - one) ** 2 for one in (at // columns, at % columns))
        apart = (down + across).masked_fill(gone[:, None], rows**2 + columns**2)
        return replace(self, places=self.places.gather(1, apart.argmin(-1)))

    def dense(self, x: Float[Tensor, "B S D"] | None = None) -> Float[Tensor, "B N D"]:
        """The class token, and at every patch of the image the token that holds it: as many as the tower has.

        x         features of the tokens; their own where left out
        raises    ValueError where a patch is gone, unless values cannot be looked at
        """
        if self.places is None:
            raise ValueError("dense: where patches have gone was not kept: Tokens.of(..., placed=True) does")
        if readable(self.places) and (self.places == GONE).any():
            raise ValueError("dense: some patches are held by no token; merge them, or ask for a summary of the rest")
        x = self.x if x is None else x
        return torch.cat([x[:, : self.classes], take(x, self.places)], dim=1)


def wide(x: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
    """Numbers in at least single precision, to be added up: sums in half precision overflow, or lose what is small."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def take(
    x: Float[Tensor, "B S D"], chosen: Int[Tensor, "B K"], start: Int[Tensor, "B 1"] | None = None
) -> Float[Tensor, "B K D"]:
    """Tokens of every image by index.

    start   as `starts` gives it, for those who take several times
    """
    # Whole rows at once: several times as fast on a CPU as to gather numbers one by one.
    rows = chosen + (starts(x) if start is None else start)
    return x.flatten(0, 1).index_select(0, rows.flatten()).unflatten(0, chosen.shape)


def starts(x: Float[Tensor, "B S D"]) -> Int[Tensor, "B 1"]:
    """Of every image the number of its first token among those of the whole batch."""
    return (torch.arange(x.shape[0], device=x.device) * x.shape[1]).unsqueeze(1)


def moved(
    places: Int[Tensor, "B P"] | None,
    count: int,
    left: Int[Tensor, "B K"],
    sources: Int[Tensor, "B R"] | None = None,
    targets: Int[Tensor, "B R"] | None = None,
) -> Int[Tensor, "B P"] | None:
    """Places of patches after some tokens have taken new indices and the others have gone.

    count    number of tokens before
    left     those that remain, in their new order
    sources, targets   tokens that go, pair by pair with those that then hold their patches; GONE where left out
    """
    if places is None:
        return None
    numbers = torch.arange(left.shape[1], device=left.device).expand_as(left)
    to = left.new_full((len(left), count), GONE).scatter(1, left, numbers)
    if sources is not None:
        to = to.scatter(1, sources, to.gather(1, targets))
    return to.gather(1, places.clamp(min=0)).where(places >= 0, GONE)
