"""Run a mixer on some members of each sequence alone, as a shorter sequence: what is left out costs nothing.

Sequences of which about as many members are taken run side by side, padded behind their ends, where a causal mixer's
outputs are not read. So a batch costs what its sequences take, and none depends on another.
"""

from collections.abc import Callable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from lib.kernels.eager import readable

BUCKETS = 8  # padding is at most this part of the longest sequence


def on_taken(
    mix: Callable[[Tensor], Tensor],
    x: Float[Tensor, "B m *D"],
    taken: Bool[Tensor, "B n"],
    most: int,
    source: Int[Tensor, "B n"] | None = None,
) -> Float[Tensor, "B n *E"] | None:
    """Outputs of a causal mixer for the taken places of each sequence, each held until the next; zeros before them.

    mix      (b, k, *D) -> (b, k, *E), causal, of independent sequences
    taken    which of n places are computed
    most     a bound on how many, for graphs that hold for all inputs; else they are counted
    source   number of each place's input among the m of its sequence; its own number where left out
    returns  None where no place of any sequence is taken
    """
    so_far, out = taken.cumsum(1), None
    for rows, longest in _buckets(so_far[:, -1], most):
        of, places, counted = (x, source, so_far) if rows is None else (x[rows], _of(source, rows), so_far[rows])
        number = torch.arange(1, longest + 1, device=x.device).expand(len(of), -1).contiguous()
        place = torch.searchsorted(counted, number).clamp(max=taken.shape[1] - 1)
        made = mix(of.gather(1, _wide(place if places is None else places.gather(1, place), of)))
        held = made.gather(1, _wide((counted - 1).clamp(0, longest - 1), made))
        held = torch.where(_wide(counted > 0, made), held, 0)
        if rows is not None:
            out = held.new_zeros(len(x), *held.shape[1:]) if out is None else out
            held = out.index_copy(0, rows, held)
        out = held
    return out


def _buckets(counts: Int[Tensor, " B"], most: int) -> list[tuple[Tensor | None, int]]:
    """Rows that run together, None for all, and the length of the longest; those that take nothing are left out."""
    if not readable(counts):
        return [(None, most)]
    numbers = counts.tolist()
    longest = max(numbers)
    if longest == min(numbers):
        return [(None, longest)] if longest else []
    found: dict[int, list[int]] = {}
    for row, count in enumerate(numbers):
        if count:
            found.setdefault(-(-BUCKETS * count // longest), []).append(row)
    return [(torch.tensor(rows, device=counts.device), max(numbers[row] for row in rows)) for rows in found.values()]


def _of(source: Tensor | None, rows: Tensor) -> Tensor | None:
    return None if source is None else source[rows]


def _wide(index: Tensor, like: Tensor) -> Tensor:
    """An index or a mask (b, k) as one of (b, k, *D)."""
    index = index.reshape(*index.shape, *(1,) * (like.ndim - 2))
    return index.expand(-1, -1, *like.shape[2:])
