"""Currents of household appliances, with an answer at every token: windows of PLAID's recordings, and levels.

Source: PLAID, Gao et al. (2014), as sktime ships it.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F

from lib.tasks.data.archive import Part, held_back, published


@dataclass(frozen=True)
class Currents:
    """Recordings, each divided by its largest value, behind zeros up to a common length.

    values    (N, S)
    lengths   samples that each recording has
    """

    values: Float[Tensor, "N S"]
    lengths: Int[Tensor, " N"]

    def last(self, length: int) -> tuple[Float[Tensor, "N T"], Bool[Tensor, "N T"]]:
        """The last samples of each recording, and which of them it has: zeros come before shorter ones."""
        return self._windows(torch.arange(len(self.values)), torch.zeros_like(self.lengths), length)

    def draw(
        self, size: int, length: int, generator: torch.Generator
    ) -> tuple[Float[Tensor, "B T"], Bool[Tensor, "B T"]]:
        """Draw a window each of recordings, all as likely; otherwise as `last`."""
        rows = torch.randint(len(self.values), (size,), generator=generator)
        room = (self.lengths[rows] - length).clamp(min=0)
        return self._windows(rows, (torch.rand(size, generator=generator) * (room + 1)).long(), length)

    def _windows(self, rows: Tensor, before_end: Tensor, length: int) -> tuple[Tensor, Tensor]:
        longest = self.values.shape[1]
        places = longest - length - before_end.unsqueeze(1) + torch.arange(length)
        real = places >= longest - self.lengths[rows].unsqueeze(1)
        return self.values[rows.unsqueeze(1), places], real


def currents(generator: torch.Generator, length: int) -> tuple[Currents, Currents, Currents]:
    """Recordings to learn from, to be held back and to be tested, in PLAID's published split.

    A fifth of the training recordings is held back. Five test recordings that are training recordings too are left out.

    length   of the windows that will be asked for
    """
    whole, test = published("load_plaid")
    aside = held_back(whole.classes, generator)
    known = {one.numpy().tobytes() for one in whole.series}
    new = torch.tensor([one.numpy().tobytes() not in known for one in test.series])

    def stacked(part: Part) -> Currents:
        longest = max(length, *map(len, part.series))
        scaled = [F.pad(one[:, 0] / one.abs().max(), (longest - len(one), 0)) for one in part.series]
        return Currents(torch.stack(scaled), torch.tensor([len(one) for one in part.series]))

    return stacked(whole.where(~aside)), stacked(whole.where(aside)), stacked(test.where(new))


def level(values: Float[Tensor, "*shape"], levels: int) -> Int[Tensor, "*shape"]:
    """Numbers of equal steps from 0 to 1 that values lie in; smaller values lie in the first, larger in the last.

    A current of the archive is seldom below zero: 2 % of all samples are, nearly all of them by less than a level.
    """
    return (values * levels).floor().clamp(0, levels - 1).long()
