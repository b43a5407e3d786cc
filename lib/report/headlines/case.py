"""A headline and what it is made of: one model on one machine, whose time, memory and accuracy stand together."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from lib.report import prose, units
from lib.report.frames import Missing

QUARTILES = ("latency_ratio", "latency_ratio_low", "latency_ratio_high")
MEMORY = ("memory_ratio",)
DIFFERENCE = ("difference", "difference_low", "difference_high")


@dataclass(frozen=True)
class Model:
    """What a number is of, read where the number is: two numbers are of one model where all of this agrees.

    words   its form, as records name it
    task    its data, as readers know them
    sizes   name -> number, such as "tokens"
    """

    words: str
    task: str
    sizes: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Measured:
    """A number of a headline, unrounded, and where it comes from.

    low, high   quartiles of a ratio of times, or the interval of an accuracy; None where there is no spread
    printed     as text and picture have it
    record      its name
    variant     of the record, as readers see it
    """

    value: float
    low: float | None
    high: float | None
    printed: str
    record: str
    variant: str
    model: Model


@dataclass(frozen=True)
class Point:
    """A place in the picture: time relative to the baseline's, and a few words on what it bought."""

    ratio: float
    words: str

    def __str__(self) -> str:
        return f"{units.times(self.ratio)} {self.words}"


@dataclass(frozen=True)
class Headline:
    """What came out on one topic, in a few sentences, all of one case.

    text       Markdown, see `itemised`
    chapter    the one that tells more
    machine    title of the machine on which everything was measured
    model      what `measured` is of
    measured   name -> a number of this model: "time", "memory", "accuracy" and more
    beside     name -> a number of something else, which the text names: an alternative, other data
    baseline   what times are relative to, in words
    proposed   what the original report proposed, where it did and where its time is recorded
    reached    what this book came to
    elsewhere  where such a model is not shown to help, in sentences, of the text
    records    that it was computed from
    raises     ValueError, naming it, for a number of another model among `measured`, and for one that the text lacks
    """

    topic: str
    text: str
    chapter: str
    machine: str
    model: Model
    measured: Mapping[str, Measured]
    beside: Mapping[str, Measured]
    baseline: str
    proposed: Point | None
    reached: Point
    elsewhere: str = ""
    records: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name, one in self.measured.items():
            if one.model != self.model:
                raise ValueError(f"{self.topic}: {name} is of {one.model}, the headline of {self.model}")
        for name, one in self.numbers.items():
            if one.printed not in self.text:
                raise ValueError(f"{self.topic}: the text lacks {name}, {one.printed!r}")

    @property
    def numbers(self) -> dict[str, Measured]:
        """All numbers by name: the model's own, and those beside it."""
        return {**self.measured, **self.beside}

    @property
    def values(self) -> dict[str, float]:
        """The same unrounded, with the ends of quartiles and intervals under names of their own."""
        found: dict[str, float] = {}
        for name, one in self.numbers.items():
            ends = {f"{name}, low": one.low, f"{name}, high": one.high}
            found |= {name: one.value, **{end: value for end, value in ends.items() if value is not None}}
        return found


def itemised(first: str, *others: str) -> str:
    """A headline's text: what matters first, then an item for each other point; empty ones are left out."""
    return "\n".join([first, *(f"  - {one}" for one in others if one)])


def measured(row: Any, columns: tuple[str, ...], show: Callable[[float], str], record: str, model: Model) -> Measured:
    """A number of a frame's row.

    columns   of the value alone, or of value, low and high
    show      how it is printed
    raises    Missing, naming variant and column, where a number is absent
    """
    found = [float(row[column]) for column in columns]
    if not all(map(math.isfinite, found)):
        raise Missing(f"{record}: {row['variant']} has no {columns[0]}")
    low, high = found[1:] or (None, None)
    return Measured(found[0], low, high, show(found[0]), record, row["variant"], model)


def points(row: Any, record: str, model: Model) -> Measured:
    """A difference of accuracies in points.

    row   of `lib.report.accuracy.compared`
    """
    return measured(row, DIFFERENCE, lambda _: prose.points(row), record, model)


def right(row: Any, record: str, model: Model) -> Measured:
    """The accuracy itself, averaged over trainings.

    row   of `lib.report.accuracy.compared`
    """
    return measured(row, ("accuracy",), share, record, model)


def percent(row: Any, column: str, record: str, model: Model) -> Measured:
    """A share with its interval, in percent."""
    columns = (column, f"{column}_low", f"{column}_high")
    said = f"{prose.spread(row[column], row[columns[2]], row[columns[1]])} %"
    return measured(row, columns, lambda _: said, record, model)


def share(part: float) -> str:
    """A share that may be small: `3.5 %`."""
    return f"{100 * part:.1f} %"
