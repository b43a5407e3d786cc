"""Records: one measured run with its provenance, in `data/runs/<machine>/<experiment>.json`.

A record keeps what was measured, raw: seconds, bytes, operations. Medians and ratios are derived by
`lib.report`. Schema and units: `data/README.md`; what the numbers of a case may be: `lib.records.cases`.
"""

import os
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

import torch
from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    ValidationError,
    field_validator,
    model_validator,
)

from lib.files import write_whole
from lib.files.reading import UnreadableError, parse_json, read_json
from lib.files.saving import save_elsewhere, try_folder
from lib.paths import RUNS, WRITTEN, in_repository
from lib.provenance import Environment, commit, environment
from lib.records.cases import Case, Line, Scalar, Whole, check_scalars, check_together

__all__ = ["Case", "Record", "RecordError", "Scalar", "machine_title", "new", "read", "ready", "title", "write"]

SCHEMA = 1
STOPPED = "stopped"  # parameter of the record of a run that was cut off, and why; it stands with no machine's others
BEGUN = datetime(2026, 11, 22, tzinfo=UTC)  # no run is older than the repository
KNOWN = datetime(2026, 11, 27, tzinfo=UTC)  # a clock that says less than this is wrong, and refuses nothing
AHEAD = timedelta(minutes=10)  # by which two machines' clocks may differ

Model = TypeVar("Model", bound=BaseModel)


class RecordError(ValueError):
    """A file that is no record of ours, in one line that names the file and the field; Jupyter shows no traceback."""

    def _render_traceback_(self) -> list[str]:
        return [f"RecordError: {self}"]


def _utc(value: object) -> object:
    if not isinstance(value, str | datetime):
        raise ValueError(f"{value!r}: a time in ISO 8601 is needed, as text")
    return value


def _one(value: object) -> object:
    if value != SCHEMA or type(value) is not int:
        raise ValueError(f"{value!r}: this code reads {SCHEMA}")
    return value


class Record(BaseModel):
    """One run of one experiment. `commit` is None where no repository vouches for the code."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: Annotated[Literal[1], BeforeValidator(_one)] = SCHEMA
    experiment: str = Field(pattern=r"^[a-z0-9_]+\z")
    recorded_at: Annotated[AwareDatetime, BeforeValidator(_utc)]
    commit: str | None = Field(pattern=r"^[0-9a-f]{40}\z")
    dirty: StrictBool
    seed: Whole
    parameters: dict[str, Scalar]
    environment: Environment
    cases: list[Case] = Field(min_length=1)

    _scalars = field_validator("parameters")(check_scalars)

    @field_validator("recorded_at")
    @classmethod
    def _has_been(cls, time: datetime) -> datetime:
        if time.utcoffset() != timedelta(0):
            raise ValueError(f"{time.isoformat()}: UTC is needed")
        if not BEGUN <= time <= max(datetime.now(UTC), KNOWN) + AHEAD:
            raise ValueError(f"{time.isoformat()}: no time between the first commit, {BEGUN.date()}, and now")
        return time

    @model_validator(mode="after")
    def _of_one_run(self) -> Self:
        if self.commit is None and not self.dirty:
            raise ValueError("dirty: False, and there is no commit that the code could be of")
        check_together(self.cases)
        return self


class Machine(BaseModel):
    """What a reader calls a machine: `data/runs/<machine>/machine.json`, written once, free to edit."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: Line
    note: str = ""


def new(
    experiment: str,
    cases: Iterable[Case],
    *,
    seed: int,
    parameters: Mapping[str, Scalar],
    device: str | torch.device = "cpu",
) -> Record:
    """A record of a run that just ended on this machine."""
    head, dirty = commit()
    return Record(
        experiment=experiment,
        recorded_at=datetime.now(UTC).replace(microsecond=0),
        commit=head,
        dirty=dirty,
        seed=seed,
        parameters=dict(parameters),
        environment=environment(device),
        cases=list(cases),
    )


def ready(experiment: str | None = None, runs: Path = WRITTEN, device: str | torch.device = "cpu") -> None:
    """See, before anything is measured on a device, that a record can be written afterwards; nothing is left there.

    experiment   its name; None where that is not known yet
    raises       OSError, naming the folder, that cannot be written; RecordError, naming file and field, for a file
                 that would not be overwritten, since it is no record of ours
    """
    folder = in_repository(runs) / environment(device).machine
    try_folder(folder)
    if experiment is not None and os.path.lexists(path := folder / f"{experiment}.json"):
        read(path)


def write(record: Record, runs: Path = WRITTEN) -> Path:
    """Write a record to its place, whole or not at all; a machine met for the first time gets its machine.json.

    What would be written is read first. Where it cannot be written, it is kept elsewhere, and the error says where.

    returns  the file written
    raises   RecordError, and leaves the old file alone, for a record that `read` would refuse, where the file is no
             record of ours, or where it holds a result and every case of the new record failed; OSError for a folder
             that cannot be written; FileNotFoundError, saying where to get one, where an installed package has no
             repository to write to
    """
    text = record.model_dump_json(indent=1) + "\n"
    path = runs / record.environment.machine / f"{record.experiment}.json"
    try:
        in_repository(runs)
        _checked(path, Record, record.model_dump())
        _in_its_place(path, _load(path, Record, text))
        if os.path.lexists(path):
            older = read(path)
            if _failed(record) and not _failed(older):
                raise RecordError(f"{path}: not overwritten, every case of the new run failed: {record.cases[0].error}")
        machine = path.parent / "machine.json"
        if not machine.exists():
            write_whole(machine, Machine(title=title(record.environment)).model_dump_json(indent=1) + "\n")
        return write_whole(path, text)
    except (OSError, RecordError) as error:
        raise type(error)(f"{error}; {save_elsewhere(path.name, text)}") from None


def read(path: Path) -> Record:
    """Read and validate one record.

    raises  RecordError naming the file and the field: truncated, of another kind, of a newer schema, with numbers that
            cannot be, or of another experiment or machine than its name and its folder say; FileNotFoundError
    """
    record = _load(path, Record)
    _in_its_place(path, record)
    return record


def machine_title(record: Record, runs: Path = RUNS) -> str:
    """What a reader calls the machine of a record: its machine.json, or else its hardware."""
    path = runs / record.environment.machine / "machine.json"
    return _load(path, Machine).title if os.path.lexists(path) else title(record.environment)


def title(environment: Environment) -> str:
    """Hardware in words, for a machine that nobody has named."""
    return environment.gpu or f"{environment.cpu}, {environment.cores} cores"


def _load(path: Path, kind: type[Model], text: str | None = None) -> Model:
    """What a file holds, or would hold with this text."""
    try:
        content = read_json(path) if text is None else parse_json(text, path)
    except UnreadableError as error:
        raise RecordError(str(error)) from None
    if kind is Record and isinstance(content, dict):
        version = content.get("schema_version")
        if type(version) is int and version > SCHEMA:
            raise RecordError(f"{path}: schema_version {version} is newer than {SCHEMA}, which this code reads; update")
        if version is None:
            raise RecordError(f"{path}: schema_version: Field required")
    return _checked(path, kind, content)


def _checked(path: Path, kind: type[Model], content: object) -> Model:
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"]))
        said = first["msg"].removeprefix("Value error, ")
        raise RecordError(f"{path}: {field or 'the whole file'}: {said}{_whose(content, first['loc'])}") from None


def _whose(content: Any, place: tuple) -> str:
    """Words for the variant of a case, where a field of one is meant."""
    try:
        variant = content["cases"][place[1]]["variant"] if place[0] == "cases" else None
    except (LookupError, TypeError):
        return ""
    return f", in the case of {variant!r:.60}" if isinstance(variant, str) else ""


def _in_its_place(path: Path, record: Record) -> None:
    if path.stem != record.experiment:
        raise RecordError(f"{path}: experiment: {record.experiment!r}, which the file is not named after")
    folder, machine = path.absolute().parent.name, record.environment.machine
    if folder != machine and STOPPED not in record.parameters:
        raise RecordError(f"{path}: environment.machine: {machine!r}, which the folder is not named after")


def _failed(record: Record) -> bool:
    return all(case.error is not None for case in record.cases)
