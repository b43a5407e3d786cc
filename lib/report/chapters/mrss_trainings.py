"""Multi-resolution scanning: what trainings came to, as the chapter's text says it."""

from dataclasses import dataclass

import pandas as pd

from lib.report.accuracy import UNDECIDED

WORDS = ("kept", "kept on average", UNDECIDED, "lost on average", "lost")  # of verdicts, in order


@dataclass(frozen=True)
class Outcome:
    """What a variant comes to: verdict -> the tasks on which it is that, in the order of WORDS."""

    variant: str
    tasks: dict[str, list[str]]


@dataclass(frozen=True)
class Solved:
    """Seeds of a variant that solve a task, after equal steps or with equal operations, of so many."""

    variant: str
    budget: str
    solved: int
    of: int


@dataclass(frozen=True)
class Difference:
    """Accuracy minus the baseline's, as a share, with its interval and the word of its verdict."""

    budget: str
    difference: float
    difference_low: float
    difference_high: float
    verdict: str


def outcomes(rows: pd.DataFrame) -> list[Outcome]:
    """What each variant of `lib.report.accuracy.judged` comes to."""
    return [outcome(name, group) for name, group in rows.groupby("variant", sort=False)]


def outcome(variant: str, rows: pd.DataFrame) -> Outcome:
    """The same of one variant's rows."""
    by_word = {word: list(rows["task"][rows["verdict"] == word]) for word in WORDS}
    return Outcome(variant, {word: tasks for word, tasks in by_word.items() if tasks})


def solved(rows: pd.DataFrame) -> list[Solved]:
    """Seeds that solve a task, of rows of `lib.report.accuracy.compared` on one that is solved or not."""
    return [Solved(row.variant, row.budget, int(row.solved), int(row.of)) for row in rows.itertuples()]


def differences(rows: pd.DataFrame) -> list[Difference]:
    """Of rows of `lib.report.accuracy.judged`, in their order."""
    columns = ["budget", "difference", "difference_low", "difference_high", "verdict"]
    return [Difference(*row) for row in rows[columns].itertuples(index=False)]
