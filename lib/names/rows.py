"""Rows of the tables of names: what every method, task and backend says of itself."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Method:
    """A row of a table of methods.

    label    as readers see it in figures, tables and records
    module   where its code is, a module of lib
    about    what it does, in one line
    """

    label: str
    module: str
    about: str


@dataclass(frozen=True)
class Sequences(Method):
    """A row of the table of sequence tasks, with what decides how its accuracies are compared.

    split    sequences that are tested, and that are trained on, where every seed splits one collection anew
    solved   accuracy above which a model knows the rule of the task, where it does or stays on a plateau far below
    tokens   whether every token has an answer, so that no stem can shorten the sequence
    """

    split: tuple[int, int] | None = None
    solved: float | None = None
    tokens: bool = False


@dataclass(frozen=True)
class Compared(Method):
    """A row of the table of multi-resolution forms that only the comparison of all of them trains, see `family`.

    source   citation key of the paper that describes it, for a peer
    """

    source: str = ""
