"""Run a mixer on some members of each sequence alone, as a shorter sequence: what is left out costs nothing.

Sequences that take about as many run side by side, padded behind their ends, where a causal mixer's outputs are not
read. So a batch costs what its sequences take, and none depends on another. Which places are taken is said by how many
of them there were up to each place. Symbols: `lib/__init__.py`; n places, of which up to k are taken.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor
from torch.nn import functional as F

from lib.kernels.eager import readable

BUCKETS = 8  # padding is at most this part of the longest sequence


def longest(so_far: Int[Tensor, "B n"], most: int) -> int:
    """The most places that a sequence takes; a bound on it, for graphs that are compiled or exported for all inputs."""
    return int(so_far[:, -1].max()) if readable(so_far) else most


def gathered(x: Shaped[Tensor, "B n *D"], so_far: Int[Tensor, "B n"], count: int) -> Shaped[Tensor, "B k *D"]:
    """What stands at the taken places, in their order, and others behind them where a sequence has fewer."""
    number = torch.arange(1, count + 1, device=x.device).expand(x.shape[0], -1).contiguous()
    return rows(x, torch.searchsorted(so_far, number).clamp(max=x.shape[1] - 1))


def held(
    mix: Callable[[Tensor], Tensor], x: Float[Tensor, "B k *D"], so_far: Int[Tensor, "B n"]
) -> Float[Tensor, "B n *E"]:
    """Outputs of a causal mixer for the taken places of each sequence, each held until the next; zeros before them.

    mix   (b, k, *D) -> (b, k, *E), causal, of independent sequences
    x     inputs of the taken places, see `gathered`; at least one
    """
    out = None
    for number, count in _buckets(so_far[:, -1], x.shape[1]):
        whole = number is None
        made = mix(x[:, :count] if whole else x[number, :count])
        made = F.pad(made, (0, 0) * (made.ndim - 2) + (1, 0))  # of no place yet
        found = rows(made, so_far if whole else so_far[number])
        if not whole:
            out = found.new_zeros(x.shape[0], *found.shape[1:]) if out is None else out
            found = out.index_copy(0, number, found)
        out = found
    return out


def rows(x: Shaped[Tensor, "B m *D"], index: Int[Tensor, "B n"]) -> Shaped[Tensor, "B n *D"]:
    """Members of each sequence by their numbers; whole members are copied, unlike by `torch.gather`."""
    first = torch.arange(x.shape[0], device=x.device).unsqueeze(1) * x.shape[1]
    return x.flatten(0, 1).index_select(0, (first + index).flatten()).unflatten(0, index.shape)


def _buckets(counts: Int[Tensor, " B"], most: int) -> list[tuple[Tensor | None, int]]:
    """Sequences that run together, None for all, and the longest's length; those that take nothing are left out."""
    if not readable(counts):
        return [(None, most)]
    numbers = counts.tolist()
    if min(numbers) == max(numbers):
        return [(None, most)]
    found: dict[int, list[int]] = {}
    for number, count in enumerate(numbers):
        if count:
            found.setdefault(-(-BUCKETS * count // max(numbers)), []).append(number)
    return [(torch.tensor(those, device=counts.device), max(numbers[i] for i in those)) for those in found.values()]
