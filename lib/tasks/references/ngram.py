"""A model of n-grams of characters: the next one by counts of what followed the last n - 1, smoothed.

Source: interpolated Kneser-Ney smoothing, Kneser and Ney (1995), as in Chen and Goodman (1999), with their estimate of
one discount for every order.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float64, Int, UInt8
from torch import Tensor

from lib.models.checks import check_count
from lib.tasks.data.characters import PARTS, text
from lib.tasks.data.sequences import Task
from lib.tasks.references import Judged, refuse

ORDERS = (3, 4, 5, 6, 7, 8)  # that are tried
DEEPEST = 9  # order whose contexts, of 68 characters, are numbers below 2^63
AT_ONCE = 8192  # characters that are predicted together


def suits(task: Task) -> bool:
    """The characters of a text, which is there as a whole."""
    return task.name == "characters"


def ngram(task: Task, generator: torch.Generator) -> Judged:
    """The order of the lowest loss on held-back windows; a window's first characters have fewer before them.

    generator   not used: the whole training part of the text is counted
    raises      ValueError, naming it, for another task than "characters"
    """
    refuse(task, suits(task), "a text whose characters can be counted is needed: characters")
    tokens, _ = text()
    model = Ngrams.of(tokens[: round(PARTS[0] * len(tokens))], task.classes, max(ORDERS))
    losses = {order: model.judged(*task.valid, order)[0] for order in ORDERS}
    best = min(losses, key=losses.__getitem__)
    loss, accuracy = model.judged(*task.test, best)
    return Judged(accuracy, loss, f"order {best}")


@dataclass(frozen=True)
class Counts:
    """Counts of what follows contexts of one length, after discounting.

    contexts   (C,) numbers of the contexts that occur, sorted
    totals     (C,) how often each does
    kinds      (C,) how many characters follow it
    pairs      (P,) numbers of contexts with the character that follows, sorted; `counts` (P,) how often each does
    discount   that is taken from each count, for orders below
    """

    contexts: Int[np.ndarray, " C"]
    totals: Int[np.ndarray, " C"]
    kinds: Int[np.ndarray, " C"]
    pairs: Int[np.ndarray, " P"]
    counts: Int[np.ndarray, " P"]
    discount: float

    @classmethod
    def of(cls, pairs: Int[np.ndarray, " P"], counts: Int[np.ndarray, " P"], classes: int) -> "Counts":
        """From every pair and its count; the discount is that of counts of one and of two."""
        contexts, starts = np.unique(pairs // classes, return_index=True)
        once, twice = (counts == 1).sum(), (counts == 2).sum()
        discount = once / (once + 2 * twice) if once else 0.5
        kinds = np.diff(np.append(starts, len(pairs)))
        return cls(contexts, np.add.reduceat(counts, starts), kinds, pairs, counts, float(discount))

    def over(self, context: Int[np.ndarray, " B"], below: Float64[np.ndarray, "B V"]) -> Float64[np.ndarray, "B V"]:
        """Probabilities of the next character: discounted counts, and what is left by those of the order below."""
        at, known = _find(self.contexts, context)
        found = below.copy()
        rows = np.flatnonzero(known)
        next_one = context[rows, None] * below.shape[1] + np.arange(below.shape[1])
        place, there = _find(self.pairs, next_one)
        counted = np.where(there, self.counts[place] - self.discount, 0)
        totals, kinds = (values[at[rows], None] for values in (self.totals, self.kinds))
        found[rows] = (counted + self.discount * kinds * below[rows]) / totals
        return found


@dataclass(frozen=True)
class Ngrams:
    """Counts of a text for every order up to one.

    raw       order - 1 -> counts of the text, for the order that is asked for
    distinct  order - 1 -> how many different characters stand before, for orders below the one that is asked for
    """

    classes: int
    raw: list[Counts]
    distinct: list[Counts]

    @classmethod
    def of(cls, tokens: UInt8[Tensor, " S"], classes: int, order: int) -> "Ngrams":
        """Count a text.

        raises   ValueError, quoting it, for an order below 1 or above 9, or of more characters than the text has
        """
        check_count("order", order, 1, min(DEEPEST, len(tokens) - 1))
        numbers, raw, distinct = tokens.numpy().astype(np.int64), [], []
        pairs = numbers
        for length in range(order):  # of contexts
            found, counts = np.unique(pairs, return_counts=True)
            raw.append(Counts.of(found, counts, classes))
            if length:
                shorter, before = np.unique(found % classes**length, return_counts=True)
                distinct.append(Counts.of(shorter, before, classes))
            pairs = pairs[:-1] * classes + numbers[length + 1 :]
        return cls(classes, raw, distinct)

    def shares(self, contexts: Int[np.ndarray, "B K"], order: int) -> Float64[np.ndarray, "B V"]:
        """Probabilities of the next character after each context, of which the last `order` - 1 characters count.

        contexts   may hold -1 before their first character: fewer are known then
        """
        found = np.full((len(contexts), self.classes), 1 / self.classes)
        number, scale = np.zeros(len(contexts), dtype=np.int64), 1
        for length in range(min(order - 1, contexts.shape[1]) + 1):
            if length:
                added = contexts[:, -length]
                number = np.where((added < 0) | (number < 0), -1, number + scale * added)
                scale *= self.classes
            counts = self.raw if length == order - 1 else self.distinct
            found = counts[length].over(number, found)
        return found

    def judged(self, x: Int[Tensor, "B T"], answers: Int[Tensor, "B T"], order: int) -> tuple[float, float]:
        """Cross-entropy [nats] and share of right answers over windows, each of which begins without a context."""
        padded = np.pad(x.numpy(), ((0, 0), (max(0, order - 2), 0)), constant_values=-1)
        contexts = np.lib.stride_tricks.sliding_window_view(padded, max(1, order - 1), axis=1)
        contexts, wanted = contexts.reshape(-1, contexts.shape[-1]), answers.numpy().ravel()
        lost, right = 0.0, 0
        for start in range(0, len(wanted), AT_ONCE):
            asked = wanted[start : start + AT_ONCE]
            shares = self.shares(contexts[start : start + AT_ONCE], order)
            lost -= float(np.log(shares[np.arange(len(asked)), asked]).sum())
            right += int((shares.argmax(1) == asked).sum())
        return lost / len(wanted), right / len(wanted)


def _find(known: np.ndarray, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Places of numbers among sorted ones, and whether they are there."""
    place = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
    return place, known[place] == wanted
