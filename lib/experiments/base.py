"""What experiments share: settings, cases of declared parts, frames of records, and a command line.

An experiment is one module per record (or per family of records, one a task):

    NAME      of its record; of a family with a {task} in it
    CHAPTER   whose presets hold its settings
    PARTS     part -> parameters of a case that its readers use, declared once for writer and reader
    Settings  what a run needs, a frozen dataclass
    run(settings) -> Record
    frame(records) -> DataFrame, one row per case
    main()    python -m lib.experiments.<module> --help
"""

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd
import torch

from lib import records
from lib.experiments.sizes import check_fields, check_given
from lib.paths import WRITTEN
from lib.profilers import clocks
from lib.profilers.profile import Profile
from lib.records import Case, Record, RecordError, Scalar

Parts = Mapping[str, Sequence[str]]
Words = Mapping[str, Mapping[str, str]]  # column -> word in a record -> word of today


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What every experiment needs to know.

    seed     of inputs and weights
    device   "cpu" or "cuda"
    dtype    name of a torch dtype
    runs     timed rounds
    warmup   untimed rounds before them
    raises   ValueError or TypeError, naming it, for a field of another kind or out of bounds, see `check_fields`
    """

    seed: int = 42
    device: str = "cpu"
    dtype: str = "float32"
    runs: int = 10
    warmup: int = 2

    def __post_init__(self) -> None:
        check_fields(self)

    @classmethod
    def of(cls, source: object, **more: Any) -> Self:
        """Take the fields that a mapping or an object has, for example a chapter's parameters.

        more     fields that are given here
        raises   TypeError, naming it, for a field that is nowhere and has no default, and for a name that is no field;
                 RecordError where a chapter's run is to be recorded, and there is no place for its record
        """
        held = source if isinstance(source, Mapping) else {x.name: getattr(source, x.name, None) for x in fields(cls)}
        found = {x.name: held[x.name] for x in fields(cls) if held.get(x.name) is not None}
        check_given(cls, found | more)
        made = cls(**found | more)
        if not isinstance(source, Mapping) and _recorded(source):
            made.check_place()
        return made

    def check_place(self, runs: Path | None = None) -> None:
        """Accept, before anything is measured, settings of a run whose record could be written afterwards.

        runs     folder of recorded machines; where runs leave their records, where left out
        raises   RecordError, in one line, for a folder that cannot be written, and for a file that is no record
        """
        name = getattr(sys.modules[type(self).__module__], "NAME", None)
        task = getattr(self, "record_task", getattr(self, "task", None))
        try:
            records.ready(name and name.format(task=task), runs or WRITTEN, self.device)
        except OSError as error:
            raise RecordError(str(error)) from None

    @property
    def torch_dtype(self) -> torch.dtype:
        """The dtype that `dtype` names."""
        return getattr(torch, self.dtype)

    @property
    def timing(self) -> dict[str, Any]:
        """Options of every profiler."""
        return {"runs": self.runs, "warmup": self.warmup, "device": self.device}

    def generator(self) -> torch.Generator:
        """A fresh generator from the seed."""
        return torch.Generator().manual_seed(self.seed)


class Cases(list[Case]):
    """Cases of declared parts; one that readers would not find is refused when it is written.

    parts   the experiment's PARTS
    seen    called with every case, of any experiment, as soon as it is there: a run may be cut off
    """

    seen: ClassVar[Callable[[Case], object] | None] = None

    def __init__(self, parts: Parts):
        super().__init__()
        self.parts = parts

    def add(
        self,
        part: str,
        variant: str,
        result: Profile | None = None,
        *,
        measured: Mapping | None = None,
        parameters: Mapping[str, Scalar] = MappingProxyType({}),
        **at: Scalar,
    ):
        """Append a case.

        result      of the profilers
        measured    or fields of a case, such as `accuracies`
        at          its parameters: all that are declared for the part, and more
        parameters  more of them, whose names are taken here
        raises      ValueError, naming them, for an undeclared part and for missing parameters
        """
        at = {**at, **parameters}
        if part not in self.parts:
            raise ValueError(f"part = {part!r}: one of {', '.join(self.parts)} is needed")
        if lacking := [name for name in self.parts[part] if name not in at]:
            raise ValueError(f"part {part!r}: {', '.join(lacking)} not given")
        held = dict(measured or {}) if result is None else vars(result)
        self.append(Case(variant=variant, parameters={"part": part, **at}, **held))
        if Cases.seen is not None:
            Cases.seen(self[-1])


def record(name: str, cases: Iterable[Case], settings: Settings, **more: Scalar) -> Record:
    """The record of a run that just ended; its parameters are the settings, and what is given besides."""
    held = {key: _scalar(value) for key, value in asdict(settings).items()}
    seed = held.pop("seed")
    return records.new(name, cases, seed=seed, parameters={**held, **more}, device=settings.device)


def frame(found: Iterable[Record], parts: Parts, words: Words | None = None) -> pd.DataFrame:
    """One row per case: machine, experiment, variant, part, its parameters, and what was measured.

    `runs` holds raw seconds; `seconds` their median, with quartiles _low and _high; `clock` by which they are, one of
    `lib.profilers.clocks`; `host_seconds` the median of what the host took beside a GPU; `memory_bytes` the peak and
    the input; `flops`; `error`.

    words    old words of recorded files, by column, and what they are today
    raises   RecordError, naming record, part and parameter, for what is not declared
    """
    rows = []
    for one in found:
        title = records.machine_title(one)
        _check_inputs(one)
        for case in one.cases:
            rows.append(
                {
                    **_case(one, title, case, parts, words),
                    "runs": np.array(case.seconds),
                    **quartiles("seconds", case.seconds),
                    "clock": _clock(one, case),
                    "host_seconds": np.median(case.host_seconds) if case.host_seconds else np.nan,
                    "memory_bytes": np.nan
                    if case.peak_bytes is None
                    else case.peak_bytes + (case.parameters.get("input_bytes") or 0),
                    "flops": np.nan if case.flops is None else case.flops,
                    "error": case.error,
                }
            )
    made = pd.DataFrame(rows)
    return made.astype({"factor": "Int64"}) if "factor" in made else made


def by_seed(found: Iterable[Record], parts: Parts, words: Words | None = None, **columns: str) -> pd.DataFrame:
    """One row per case and seed: machine, experiment, variant, part, parameters, seed, and a column per measure.

    columns   field of a case, such as `accuracies` -> name of its column
    """
    rows = []
    for one in found:
        title = records.machine_title(one)
        for case in one.cases:
            held = {column: getattr(case, field) for field, column in columns.items()}
            seeds = dict.fromkeys(seed for values in held.values() for seed in values)
            at = _case(one, title, case, parts, words)
            rows += [
                {**at, "seed": seed, **{name: values.get(seed, np.nan) for name, values in held.items()}}
                for seed in seeds
            ]
    return pd.DataFrame(rows)


def quartiles(name: str, values: Sequence[float] | np.ndarray) -> dict[str, float]:
    """Median and quartiles as `name`, `name`_low and `name`_high; NaN of no values."""
    if not len(values):
        return {name: np.nan, f"{name}_low": np.nan, f"{name}_high": np.nan}
    low, median, high = np.quantile(values, [0.25, 0.5, 0.75])
    return {name: median, f"{name}_low": low, f"{name}_high": high}


def _recorded(parameters: object) -> bool:
    """Whether a chapter with these parameters writes records: of costs, or of trainings that are no trial."""
    asked = {name: getattr(parameters, name, None) for name in ("record", "retrain", "steps")}
    return asked["record"] is True or (asked["retrain"] is True and not asked["steps"])


def _check_inputs(one: Record) -> None:
    """Refuse memory of a part of which some has the input added, and some has not."""
    by_part: dict[Scalar, bool] = {}
    for case in (case for case in one.cases if case.peak_bytes is not None):
        size, part = case.parameters.get("input_bytes"), case.parameters.get("part")
        if by_part.setdefault(part, size is not None) != (type(size) is int and size >= 0):
            where = f"{one.environment.machine}/{one.experiment}.json"
            raise RecordError(f"{where}: part {part!r} of {case.variant!r}: input_bytes {size!r}, as of no other case")


def _scalar(value: Any) -> Scalar:
    """A record's parameters are scalars: several values become words."""
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else value


def _clock(one: Record, case: Case) -> str | None:
    """By which clock a case's seconds are; files that are older than the field were timed by the host's."""
    if not case.seconds:
        return None
    return case.clock or (clocks.WALL if one.environment.gpu is None else clocks.SYNCHRONISED)


def _case(one: Record, title: str, case: Case, parts: Parts, words: Words | None) -> dict[str, Any]:
    row = {"machine": title, "experiment": one.experiment, "variant": case.variant, **case.parameters}
    for column, today in (words or {}).items():
        if column in row:
            row[column] = today.get(row[column], row[column])
    # A record of one part needs not name it.
    part = row.setdefault("part", next(iter(parts)) if len(parts) == 1 else None)
    where = f"{one.environment.machine}/{one.experiment}.json"
    if part not in parts:
        raise RecordError(f"{where}: part {part!r} of {case.variant!r}: one of {', '.join(parts)} is needed")
    if lacking := [name for name in parts[part] if name not in row]:
        raise RecordError(f"{where}: part {part!r} of {case.variant!r} has no {', '.join(lacking)}")
    return row
