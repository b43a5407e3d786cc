"""A budget per image that saves time in a batch: images of about as many tokens are computed together.

`adaptive` fills every image of a batch up to the one that keeps most. Here the rest of the tower sees one dense batch
for every number of tokens, rounded up to whole tiles. Symbols: `lib/__init__.py`.
"""

from collections.abc import Iterator
from dataclasses import replace

import torch
from jaxtyping import Int
from torch import Tensor, nn
from torch.nn import functional as F
from transformers.modeling_outputs import BaseModelOutputWithPooling as Output

from lib.kernels.eager import readable
from lib.models.clip.reduction.adaptive import Adaptive
from lib.models.clip.reduction.base import Cut, Options
from lib.models.clip.tokens import Tokens
from lib.models.clip.tower.record import Record


class InBuckets(Adaptive):
    """A vision tower with a budget per image, whose layers after the choice see images in buckets of equal length.

    Where nobody can look at values (a compiler, an export), and for a call that wants hidden states, attentions or a
    trace, the batch is filled up to its longest image, as in `adaptive`: the results are the same.
    """

    def _walked(self, pixels: Tensor, interpolate: bool | None, record: Record, placed: bool) -> tuple[Output, Tokens]:
        recorded = record.states is not None or record.attentions is not None
        if placed or recorded or self.slicing or not readable(pixels):
            return super()._walked(pixels, interpolate, record, placed)
        tower = self.tower
        tokens = Tokens.of(tower.embed(pixels, interpolate), tower.classes, placed)
        _, *inside = self.plan(tokens.count)
        for number in range(1 + self.layer):
            tokens = self._through(tower.layers[number], tokens, inside[number], record)
        width, order, pooled, states = tokens.x.shape[1], [], [], []
        for part, rows in buckets(tokens, self.tile):
            output = self._finished(part, record)
            order.append(rows)
            pooled.append(output.pooler_output)
            x = output.last_hidden_state
            states.append(x if self.class_row_only else F.pad(x, (0, 0, 0, width - x.shape[1])))
        back = torch.cat(order).argsort()
        return Output(last_hidden_state=torch.cat(states)[back], pooler_output=torch.cat(pooled)[back]), tokens

    def _finished(self, tokens: Tokens, record: Record) -> Output:
        """The output for one bucket, from the layers after the choice."""
        tower = self.tower
        for layer in tower.layers[1 + self.layer : self.depth]:
            tokens = self._through(layer, tokens, Cut(), record)
        if self.class_row_only:
            tokens = self._through(tower.layers[-1], tokens, Cut(), record, queries=1)
        return tower.finish(tokens.x, tokens.weights)


def in_buckets(
    model: nn.Module, keep: float, *, layer: int | None = None, class_row_only: bool = False, tile: int = 8
) -> InBuckets:
    """A vision tower with a budget per image, whose images are computed in buckets of equal length.

    model, keep, layer, class_row_only   as `lib.models.clip.reduction.reduce_tokens` takes them for `adaptive`
    tile      numbers of tokens, the class token included, are rounded up to multiples of it: large tiles make few
              buckets, small ones little padding
    returns   as `reduce_tokens`; last_hidden_state is 0 where an image has no token
    raises    as `reduce_tokens`
    """
    options = Options(keep, "decreasing", layer, class_row_only, summary=False, seed=0, tile=tile)
    return InBuckets.of(model, in_buckets.__name__, options)


def buckets(tokens: Tokens, tile: int) -> Iterator[tuple[Tokens, Int[Tensor, " N"]]]:
    """Tokens of the images of about equal length, and their numbers in the batch, the shortest first.

    Lengths are read once, which a GPU is waited for.

    tile   lengths are rounded up to multiples of it, and to no more than the longest image has
    """
    counts, groups = (tokens.sizes > 0).sum(1).tolist(), {}
    for row, count in enumerate(counts):
        groups.setdefault(min(-(-count // tile) * tile, tokens.x.shape[1]), []).append(row)
    for length, numbers in sorted(groups.items()):
        rows = torch.tensor(numbers, device=tokens.x.device)
        full = all(counts[row] == length for row in numbers)  # nothing is padding: the layers run as they are
        x, sizes = tokens.x[rows, :length], tokens.sizes[rows, :length]
        yield replace(tokens, x=x, sizes=sizes, places=None, single=full), rows
