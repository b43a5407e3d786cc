"""Borders between sequences of one row, for the torch backend: what passes them, which is nothing.

Contract: `packed` in `lib.kernels.scan`.
"""

from torch import Tensor


class Borders:
    """Tokens at which another sequence begins in some row.

    at           by token: which rows have a border before it, (B, 1, 1, 1); with states of sequences, the numbers of
                 the sequence before it and of its own
    ends         numbers of the first and of the last sequence, where there are states of sequences
    """

    def __init__(self, seq_idx: Tensor | None, sequences: int):
        self.sequences, self.at, self.ends = sequences, {}, (0, 0)
        if seq_idx is None:
            return
        changes = seq_idx[:, 1:] != seq_idx[:, :-1]
        tokens = (changes.any(0).nonzero()[:, 0] + 1).tolist()  # waits for a GPU, once
        if sequences:
            numbers = seq_idx[0].tolist()
            self.at = {t: (numbers[t - 1], numbers[t]) for t in tokens}
            self.ends = numbers[0], numbers[-1]
        else:
            self.at = {t: changes[:, t - 1].view(-1, 1, 1, 1) for t in tokens}

    def within(self, start: int, steps: int) -> bool:
        """Whether there is one among so many tokens."""
        return any(t in self.at for t in range(start, start + steps)) if self.at else False


class Flow:
    """States that pass from token to token, or their gradients, which pass back.

    coming    (B, ..), or (S, ..) with states of sequences: what each starts with; None for zeros
    left      the same for what each ends with; complete after `end`
    """

    def __init__(self, borders: Borders, coming: Tensor | None, zeros: Tensor, back: bool = False):
        """zeros   in the shape of one token's states of all rows"""
        self.borders, self.back = borders, back
        if borders.sequences and coming is None:
            coming = zeros.new_zeros(borders.sequences, *zeros.shape[1:])
        self.coming = zeros if coming is None else coming
        self.left = self.coming.clone()  # of a sequence without tokens

    def begin(self) -> Tensor:
        """What reaches the first token, or passes back to the last."""
        if not self.borders.sequences:
            return self.coming.clone()
        return self._of(self.borders.ends[self.back])

    def cross(self, t: int, x: Tensor) -> Tensor:
        """What passes between the tokens before t and t, in the way of the flow: x, but for what borders stop."""
        border = self.borders.at.get(t)
        if border is None:
            return x
        if not self.borders.sequences:
            return x.masked_fill(border, 0)
        before, after = reversed(border) if self.back else border
        self.left[before] = x[0]
        return self._of(after)

    def end(self, x: Tensor) -> Tensor:
        """What all have ended with, after the last token, or, on the way back, before the first."""
        if not self.borders.sequences:
            return x
        self.left[self.borders.ends[not self.back]] = x[0]
        return self.left

    def _of(self, number: int) -> Tensor:
        return self.coming[number : number + 1].clone()
