"""What decides whether fewer states lose nothing: rules from frames of differences, each of which may fail.

Bars are those that were set before the trainings: a published claim, and a recall task on which training small fails.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from lib.report import frames, statistics
from lib.report.accuracy import POINT, TAIL
from lib.report.frames import Missing
from lib.report.frames.paired import LEVEL, paired
from lib.report.statistics import Interval

SHARE = 1 / 32  # of the states: H2-optimal reduction is published to keep the accuracy with so many
QUARTER = 1 / 4  # of a Mamba's states
FAILS = 0.05  # of accuracy: what a model small from the start must lose for a recall task to need the states
SURE, ON_AVERAGE, NO = "by the whole interval", "on average", "no"


@dataclass(frozen=True)
class Case:
    """A model of few states against its original: a difference of accuracies, a share, and its interval."""

    task: str
    bank: str
    variant: str
    order: float
    accuracy: float
    difference: float
    difference_low: float
    difference_high: float

    @classmethod
    def of(cls, row: pd.Series) -> "Case":
        """A row of `paired`; a Mamba has no bank."""
        ends = (row["difference"], row["difference_low"], row["difference_high"])
        return cls(row["task"], row.get("bank", ""), row["variant"], row["order"], row["accuracy"], *ends)

    @property
    def kept(self) -> bool:
        """No loss beyond the interval, and at most a point on average: a wide interval alone is no evidence."""
        return self.difference_high >= 0 and self.difference >= -POINT


def at_share(rows: pd.DataFrame, share: float = SHARE) -> list[Case]:
    """Per task and bank the model of at most a share of the states that loses least.

    rows     columns task, bank, variant, order, states (of the original), and those of `paired`; what is a candidate
    raises   Missing where no model has so few states
    """
    few = rows[rows["order"] <= share * rows["states"]]
    if few.empty:
        raise Missing(f"no model with {share:g} of its original's states is recorded")
    best = few.groupby(["task", "bank"], sort=False)["difference"].idxmax()
    return [Case.of(row) for _, row in few.loc[best].iterrows()]


def fewest(rows: pd.DataFrame) -> list[Case]:
    """Per task and bank the model of fewest states that is kept; none, where none is. Rows as of `at_share`."""
    found = []
    for _, group in rows.groupby(["task", "bank"], sort=False):
        cases = [
            Case.of(row) for _, row in group.sort_values(["order", "difference"], ascending=[True, False]).iterrows()
        ]
        found += [case for case in cases if case.kept][:1]
    return found


@dataclass(frozen=True)
class Recall:
    """A recall task at few of a Mamba's states: reduced and fine-tuned, beside small from the start.

    states    kept, of `whole`
    reduced   by the criterion that loses least
    scratch   with as many from the start; both against the original in equal steps
    kept      SURE, ON_AVERAGE or NO: does a reduction lose at most a point, corrected for the number of criteria?
    fails     the same: does the small model lose more than FAILS?
    """

    task: str
    states: int
    whole: int
    reduced: Case
    scratch: Case
    kept: str
    fails: str

    @property
    def met(self) -> str:
        """SURE where both are, ON_AVERAGE where both are at least that, else NO."""
        words = {self.kept, self.fails}
        return NO if NO in words else SURE if words == {SURE} else ON_AVERAGE

    @property
    def train_small(self) -> bool:
        """Is a small model from the start no worse than that on average? Then nobody needs the large one."""
        return self.fails == NO


def recall(
    rows: pd.DataFrame, task: str, whole: int, scratch: str, criteria: Sequence[str], chances: int = 1
) -> Recall:
    """Judge one task at a quarter of the states.

    rows     of `paired` against the original trained on: columns task, variant, order, healed, accuracy
    whole    N of the original
    scratch  the control's name
    criteria names of reductions
    chances  tasks that are judged: one of them suffices, so p-values are that many times as large
    raises   Missing where the control or every reduction is absent
    """
    at = {"task": task, "order": int(whole * QUARTER)}
    control = frames.only(rows, variant=scratch, **at)
    made = frames.where(rows, healed=True, **at)
    made = made[made["variant"].isin(criteria)]
    if made.empty:
        raise Missing(f"{task}: no reduction to {at['order']} states was fine-tuned")
    best = made.loc[made["difference"].idxmax()]
    p = statistics.holm([statistics.p_above(_interval(row), -POINT) for _, row in made.iterrows()])
    kept = SURE if chances * min(p) <= TAIL else ON_AVERAGE if best["difference"] >= -POINT else NO
    lost = 1 - statistics.p_above(_interval(control), -FAILS)
    fails = SURE if chances * lost <= TAIL else ON_AVERAGE if control["difference"] < -FAILS else NO
    return Recall(task, at["order"], whole, Case.of(best), Case.of(control), kept, fails)


@dataclass(frozen=True)
class Ranking:
    """Criteria by what they keep, the best first, and which are behind it beyond doubt.

    extent   of the means, the best minus the worst, always positive
    behind   names whose paired difference to the best is separated from zero, corrected by Holm
    """

    best: str
    names: tuple[str, ...]
    extent: float
    behind: tuple[str, ...]

    @property
    def alone(self) -> bool:
        """Is every other one behind?"""
        return len(self.behind) == len(self.names) - 1

    @property
    def differ(self) -> bool:
        """Is any other one behind?"""
        return bool(self.behind)


def ranked(rows: pd.DataFrame, measure: str, lowest: bool = False) -> Ranking:
    """Rank variants by the mean of a measure over seeds.

    rows     of one task, order and state of fine-tuning: variant, seed, the measure
    lowest   whether less is better, as of a loss
    raises   Missing for fewer than two variants
    """
    means = rows.groupby("variant", sort=False)[measure].mean().sort_values(ascending=lowest, kind="stable")
    if len(means) < 2:
        raise Missing(f"{len(means)} criteria: a ranking needs at least 2")
    best, at = means.index[0], rows.assign(machine="", task="")
    others, base = (at[keep] for keep in (at["variant"] != means.index[0], at["variant"] == means.index[0]))
    found = paired(others, base, ["variant"], measure, ["machine", "task"])
    apart = dict(zip(found["variant"], statistics.holm(list(found["p"])), strict=True))
    behind = tuple(name for name in means.index[1:] if apart[name] <= LEVEL)
    return Ranking(best, tuple(means.index), abs(means.iloc[0] - means.iloc[-1]), behind)


def _interval(row: pd.Series) -> Interval:
    return Interval(row["difference"], row["difference_low"], row["difference_high"], row["how"], row["degrees"])
