"""The records of one reference machine, and of all others beside it."""

from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Any

import pandas as pd

from lib import records
from lib.paths import RUNS, in_repository
from lib.records import Record
from lib.report import tables
from lib.report.frames import Missing
from lib.report.views.files import Files

COMPARED = ("what", "ratio", "low", "high", "clock")  # columns of a comparison, beside the machine


class Base:
    """Records as judges and texts read them: those of one machine, each when it is first needed.

    toys      name -> value, of small computations made live (`lib.experiments.toys`)
    runs      folder of recorded machines
    machine   the reference machine, by the name of its folder; where left out, the one with most records
    raises    Missing where there is no such machine, naming those that there are
    """

    def __init__(self, toys: Mapping[str, Any] = MappingProxyType({}), runs: Path = RUNS, machine: str | None = None):
        self.files = Files()
        self._toys, self._runs = toys, runs
        self.used: list[str] = []  # names of the records that were read, in order
        counts = machines(runs)
        if machine is not None and machine not in counts:
            raise Missing(f"machine = {machine!r}: there are {', '.join(counts) or 'none'}")
        self.machine = machine or next(iter(counts), None)

    def __getattribute__(self, name: str) -> Any:
        """A view names the files that it comes from, also those that it was made of when it was first read."""
        if not isinstance(getattr(type(self), name, None), property | cached_property):
            return super().__getattribute__(name)
        with self.files.naming(name):
            return super().__getattribute__(name)

    def fresh(self):
        """The same records and toys, of which nothing was read yet."""
        return type(self)(self._toys, self._runs, self.machine)

    @property
    def others(self) -> list[str]:
        """Names of the recorded machines that are not the reference."""
        return [name for name in machines(self._runs) if name != self.machine]

    def toy(self, name: str) -> Any:
        """A value computed live.

        raises   Missing where it was not computed
        """
        if name not in self._toys:
            raise Missing(f"the toy {name!r} was not computed")
        return self._toys[name]

    def records(self, *names: str) -> list[Record]:
        """The reference machine's records of these names.

        raises   Missing, naming it, where there is none; RecordError for a broken file
        """
        for name in names:
            if self.machine is None or not self._place(self.machine, name).exists():
                where = f" on {self.machine}" if self.machine else ", and no machine is recorded"
                lacking = Missing(f"there is no record of {name}{where}")
                lacking.files = ""  # that is its file
                raise lacking
        self.used += [name for name in names if name not in self.used]
        return [self._read(self.machine, name) for name in names]

    def everywhere(self, *names: str) -> list[Record]:
        """Records of these names of all machines that have them, the reference machine's first."""
        asked = [(machine, name) for machine in self._machines() for name in names]
        return [self._read(*one) for one in asked if self._place(*one).exists()]

    def frame(self, experiment: ModuleType, *tasks: str) -> pd.DataFrame:
        """The reference machine's cases of an experiment of `lib.experiments`, of a family those of some tasks."""
        with self.files.naming():
            return experiment.frame(self.records(*named(experiment, tasks)))

    def recorded(self, experiment: ModuleType, tasks: Iterable[str]) -> list[str]:
        """Those of a family's tasks that the reference machine has a record of.

        raises   Missing, naming the family, where it has none
        """
        found = [task for task in tasks if self._has(*named(experiment, [task]))]
        if not found:
            raise Missing(f"there is no record of {experiment.NAME}")
        return found

    def has(self, experiment: ModuleType, tasks: Iterable[str] = ()) -> bool:
        """Whether the reference machine has a record of an experiment, of a family one of some tasks."""
        return any(self._has(name) for name in named(experiment, tasks))

    def _has(self, name: str) -> bool:
        return self.machine is not None and self._place(self.machine, name).exists()

    def sources(self, *names: str) -> str:
        """Machine, day and commit of the reference machine's records, for a caption."""
        return tables.sources(self.records(*names))

    def compared(self, experiment: ModuleType, *tasks: str) -> pd.DataFrame:
        """Cases of an experiment on every machine that has a record of it, the reference machine's first."""
        with self.files.naming():
            found = self.everywhere(*named(experiment, tasks))
            return experiment.frame(found) if found else pd.DataFrame()

    @cached_property
    def all_records(self) -> list[Record]:
        """Every record of every machine."""
        places = [place for name in self._machines() for place in sorted((self._runs / name).glob("*.json"))]
        return [self._read(place.parent.name, place.stem) for place in places if _is_record(place)]

    @cached_property
    def title(self) -> str:
        """What a reader calls the reference machine."""
        any_record = next(path for path in sorted((self._runs / self.machine).glob("*.json")) if _is_record(path))
        return records.machine_title(records.read(any_record), self._runs)

    def _place(self, machine: str, name: str) -> Path:
        return self._runs / machine / f"{name}.json"

    def _read(self, machine: str, name: str) -> Record:
        self.files.note(f"{machine}/{name}.json")
        return records.read(self._place(machine, name))

    def _machines(self) -> list[str]:
        return [self.machine, *self.others] if self.machine else []


def machines(runs: Path = RUNS) -> dict[str, int]:
    """Recorded machines -> number of their records, most first, then by name.

    raises  FileNotFoundError, saying where to get them, where the installed package has no records
    """
    counts = {
        place.name: sum(_is_record(path) for path in place.glob("*.json")) for place in in_repository(runs).glob("*/")
    }
    return {name: count for name, count in sorted(counts.items(), key=lambda one: (-one[1], one[0])) if count}


def named(experiment: ModuleType, tasks: Iterable[str] = ()) -> list[str]:
    """Names of an experiment's records: its own, or one for each task."""
    return [experiment.NAME.format(task=task) for task in tasks] or [experiment.NAME]


def comparison(rows: pd.DataFrame, what: str, variant: str | None = None, **where: object) -> pd.DataFrame:
    """Rows of a comparison between machines: machine, what, ratio, low, high, and the clock that it is by.

    rows      with latency ratios; may be empty
    what      words for what is compared
    variant   the only one that counts
    where     columns and values that choose among the rows
    """
    chosen = where | ({} if variant is None else {"variant": variant})
    for column, value in chosen.items():
        if rows.empty:
            break
        rows = rows[rows[column] == value]
    if rows.empty:
        return pd.DataFrame(columns=["machine", *COMPARED])
    rows = rows.dropna(subset="latency_ratio")
    return pd.DataFrame(
        {
            "machine": rows["machine"],
            "what": what,
            "ratio": rows["latency_ratio"],
            "low": rows["latency_ratio_low"],
            "high": rows["latency_ratio_high"],
            "clock": rows.get("clock"),
        }
    )


def known(frame: pd.DataFrame, *columns: str, each: Mapping[str, Iterable] = MappingProxyType({})) -> pd.DataFrame:
    """The frame itself, where it can decide something.

    columns   that are judged
    each      column -> values that must all be there
    raises    Missing where there is no row, a value is absent, or a judged number is: a case that failed has none
    """
    if frame.empty:
        raise Missing("no case of what is needed is recorded")
    for column, values in each.items():
        if absent := [str(one) for one in values if one not in set(frame[column])]:
            raise Missing(f"no case with {column} {absent[0]} is recorded")
    if columns and "error" in frame and frame["error"].notna().any():
        failed = frame.loc[frame["error"].notna()].iloc[0]
        raise Missing(f"{failed['variant']} on {failed['machine']} failed: {failed['error']}")
    for column in columns:
        if frame[column].isna().any():
            failed = frame.loc[frame[column].isna()].iloc[0]
            raise Missing(f"{failed.get('variant', 'a case')} on {failed.get('machine', 'a machine')} has no {column}")
    return frame


def complete(frame: pd.DataFrame, rows: str | list[str], columns: str | list[str]) -> pd.DataFrame:
    """The frame itself, where every value of some columns stands beside every value of others.

    A case that is absent would be left out of means, extents and lists in silence.
    raises    Missing, quoting what is beside nothing
    """
    rows, columns = ([one] if isinstance(one, str) else one for one in (rows, columns))
    pairs = frame[[*rows, *columns]].astype(object).where(frame[[*rows, *columns]].notna(), None)
    found = {(tuple(one[: len(rows)]), tuple(one[len(rows) :])) for one in pairs.itertuples(index=False)}
    for first in dict.fromkeys(one for one, _ in found):
        for second in dict.fromkeys(other for _, other in found):
            if (first, second) not in found:
                at = dict(zip([*rows, *columns], [*first, *second], strict=True))
                raise Missing(f"no case with {', '.join(f'{key} {value}' for key, value in at.items())} is recorded")
    return frame


def _is_record(path: Path) -> bool:
    return path.name != "machine.json"
