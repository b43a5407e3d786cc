"""A layer of a tower computed by its parts, so that tokens can go between its attention and its MLP.

Symbols: `lib/__init__.py`.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from jaxtyping import Float
from torch import Tensor, nn

from lib.models.clip.tokens import Tokens
from lib.models.clip.tower import Tower
from lib.models.clip.tower.attention import attend, class_row, weights
from lib.models.clip.tower.known import check_unhooked
from lib.models.clip.tower.record import Record


@dataclass(frozen=True)
class Attended:
    """A layer's attention with the queries and keys that it has just used."""

    attention: nn.Module
    query: Float[Tensor, "B heads Q dim"]
    key: Float[Tensor, "B heads S dim"]

    def by_class(self, tokens: Tokens) -> Float[Tensor, "B P"]:
        """Attention of the class token to every other token, the mean over heads."""
        return class_row(self.attention, self.query, self.key, tokens.weights)[:, tokens.classes :]


def through(
    tower: Tower,
    layer: nn.Module,
    tokens: Tokens,
    record: Record,
    change: Callable[[Tokens, Attended], Tokens],
    queries: int | None = None,
) -> Tokens:
    """Tokens after a layer, some of which go inside it; computed anew in the backward pass where the layer says so.

    tower    that the layer is of
    change   what goes: from tokens after the attention to those that the MLP gets
    queries  number of tokens that are computed, from the first; every one where left out
    raises   TypeError where hooks on the layer or its attention would not run
    """
    attention = tower.attention(layer)
    check_unhooked(layer, attention)

    def inside(x: Tensor, sizes: Tensor, places: Tensor | None) -> tuple:
        before = replace(tokens, x=x, sizes=sizes, places=places)
        out, query, key = attend(attention, tower.normed(layer, x), before.weights, queries)
        weighed = weights(attention, query, key, before.weights).to(x.dtype) if record.weighs else None
        after = change(
            replace(before, x=x[:, :queries] + tower.attended(layer, out), sizes=sizes[:, :queries]),
            Attended(attention, query, key),
        )
        x = after.x + tower.changed(layer, after.x)
        return x, after.sizes, after.places, after.single, weighed

    given = tokens.x, tokens.sizes, tokens.places
    if layer.gradient_checkpointing and layer.training:
        x, sizes, places, single, weighed = layer._gradient_checkpointing_func(inside, *given)
    else:
        x, sizes, places, single, weighed = inside(*given)
    if weighed is not None:
        record.attentions.append(weighed)
    return replace(tokens, x=x, sizes=sizes, places=places, single=single)
