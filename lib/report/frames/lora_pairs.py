"""Differences between what trainings of adapters came to, paired by seed, which decides the checkpoint too."""

from collections.abc import Iterable
from dataclasses import dataclass

import pandas as pd

from lib.report import accuracy
from lib.report.frames import Missing, where

Measured = tuple[str, str]  # a variant, and a column of `lib.experiments.lora_cases.outcomes`


@dataclass(frozen=True)
class Gap:
    """A difference of shares with its 95 % interval; `how` names the statistic, one of `lib.report.statistics.HOW`."""

    difference: float
    difference_low: float
    difference_high: float
    how: str

    def said(self, above: str = "above", below: str = "below", neither: str = accuracy.UNDECIDED) -> str:
        """The word for where the whole interval lies: above zero, below it, or neither."""
        return above if self.difference_low > 0 else below if self.difference_high < 0 else neither

    @property
    def word(self) -> str:
        """That of `said` without words of one's own."""
        return self.said()


def gap(rows: pd.DataFrame, first: Measured, second: Measured | None = None) -> Gap:
    """The first minus the second, seed by seed, or minus one where there is no second.

    rows     of `lib.experiments.lora_cases.outcomes`, one task
    raises   Missing, naming it, for a variant without trainings, and for one that lacks a seed of the other
    """
    one, other = (where(rows, variant=variant).set_index("seed") for variant, _ in (first, second or first))
    for (variant, _), found, beside in ((first, one, other), (second or first, other, one)):
        if found.empty or set(beside.index) - set(found.index):
            raise Missing(f"{variant} was not trained with every seed of what it is compared with")
    values = one[first[1]] - (1 if second is None else other[second[1]].loc[one.index])
    found = accuracy.fitting(one)(values.to_numpy())
    return Gap(found.mean, found.low, found.high, found.how)


def of(row: pd.Series) -> Gap:
    """A row of `lib.report.accuracy.compared` as a difference."""
    return Gap(row["difference"], row["difference_low"], row["difference_high"], row["how"])


def sorted_out(gaps: dict[str, Gap] | dict[int, Gap]) -> dict[str, list]:
    """ "above", "below" and "undecided" -> names of the differences that are so, in their order."""
    found: dict[str, list] = {"above": [], "below": [], accuracy.UNDECIDED: []}
    for name, one in gaps.items():
        found[one.word].append(name)
    return found


def all_below(gaps: Iterable[Gap]) -> bool:
    """Does every whole interval lie below zero?"""
    return all(one.difference_high < 0 for one in gaps)
