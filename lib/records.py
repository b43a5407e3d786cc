"""Records: one measured run with its provenance, in `data/runs/<machine>/<experiment>.json`.

A record keeps what was measured, raw: seconds, bytes, operations. Medians and ratios are derived by
`lib.report`. Schema and units: `data/README.md`.
"""

import json
import tempfile
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, Self, TypeVar

import torch
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, model_validator

from lib.paths import RUNS, WRITTEN, in_repository
from lib.profilers import clocks
from lib.profilers.profile import Profile
from lib.provenance import Environment, commit, environment

SCHEMA = 1

Scalar = bool | int | float | str | None
Model = TypeVar("Model", bound=BaseModel)


class RecordError(ValueError):
    """A file that is no record of ours; the message names the file and the field."""


class Case(BaseModel):
    """One variant at one setting. `seconds` are raw, one per timed run, or one per training.

    host_seconds  until each call returned, where `seconds` are a GPU's own
    clock       of `seconds`, one of `lib.profilers.clocks`; None of trainings, and of files that are older than it
    accuracies  seed -> share in 0..1
    losses      [nats] seed -> means over every twentieth of the steps planned; fewer where training ended early
    relative_errors   seed -> norm of what an approximation loses, over that of what it stands for
    agreements  seed -> share of answers, right or wrong, that are those of what it stands for
    cosines     seed -> mean cosine of features with those of what it stands for
    right       seed -> which answers of the test set are right, in order: one bit each, hexadecimal
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    variant: str
    parameters: dict[str, Scalar]
    seconds: list[float] = []
    peak_bytes: int | None = Field(default=None, ge=0)
    flops: int | None = Field(default=None, ge=0)
    accuracies: dict[int, float] = {}
    losses: dict[int, list[float]] = {}
    relative_errors: dict[int, float] = {}
    agreements: dict[int, float] = {}
    cosines: dict[int, float] = {}
    right: dict[int, str] = {}
    error: str | None = None
    host_seconds: list[float] = []
    clock: Literal[clocks.NAMES] | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        measured = (
            self.seconds
            or self.accuracies
            or self.relative_errors
            or self.peak_bytes is not None
            or self.flops is not None
        )
        if bool(measured) == (self.error is not None):
            raise ValueError("a case holds either measurements or an error")
        if self.host_seconds and len(self.host_seconds) != len(self.seconds):
            raise ValueError(f"host_seconds: {len(self.host_seconds)} of {len(self.seconds)} timed runs")
        return self

    @classmethod
    def of(cls, variant: str, result: Profile, **parameters: Scalar) -> Self:
        """A case from what the profilers returned."""
        return cls(variant=variant, parameters=parameters, **vars(result))


class Record(BaseModel):
    """One run of one experiment. `commit` is None where no repository vouches for the code."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: Literal[1] = SCHEMA
    experiment: str = Field(pattern=r"^[a-z0-9_]+$")
    recorded_at: AwareDatetime
    commit: str | None = Field(pattern=r"^[0-9a-f]{40}$")
    dirty: bool
    seed: int
    parameters: dict[str, Scalar]
    environment: Environment
    cases: list[Case] = Field(min_length=1)


class Machine(BaseModel):
    """What a reader calls a machine: `data/runs/<machine>/machine.json`, written once, free to edit."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: str
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


def write(record: Record, runs: Path = WRITTEN) -> Path:
    """Write a record to its place, atomically; a machine met for the first time gets its machine.json.

    returns  the file written
    raises   RecordError, and leaves the old file alone, where it is no record of ours, or where it holds
             a result and every case of the new record failed; FileNotFoundError, saying where to get one, where an
             installed package has no repository to write to
    """
    path = in_repository(runs) / record.environment.machine / f"{record.experiment}.json"
    if path.exists():
        older = read(path)
        if _failed(record) and not _failed(older):
            raise RecordError(f"{path}: not overwritten, every case of the new run failed: {record.cases[0].error}")
    path.parent.mkdir(parents=True, exist_ok=True)
    machine = path.parent / "machine.json"
    if not machine.exists():
        _replace(machine, Machine(title=title(record.environment)))
    _replace(path, record)
    return path


def read(path: Path) -> Record:
    """Read and validate one record.

    raises  RecordError naming the file and the field: truncated, of another kind, or of a newer schema
    """
    return _load(path, Record)


def machine_title(record: Record, runs: Path = RUNS) -> str:
    """What a reader calls the machine of a record: its machine.json, or else its hardware."""
    path = runs / record.environment.machine / "machine.json"
    return _load(path, Machine).title if path.exists() else title(record.environment)


def title(environment: Environment) -> str:
    """Hardware in words, for a machine that nobody has named."""
    return environment.gpu or f"{environment.cpu}, {environment.cores} cores"


def _load(path: Path, kind: type[Model]) -> Model:
    try:
        content = json.loads(path.read_text())
    except ValueError as error:
        raise RecordError(f"{path}: not readable as JSON ({error}); the file may be truncated") from None
    if isinstance(content, dict) and isinstance(version := content.get("schema_version"), int) and version > SCHEMA:
        raise RecordError(f"{path}: schema_version {version} is newer than {SCHEMA}, which this code reads; update it")
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"])) or "the whole file"
        raise RecordError(f"{path}: {field}: {first['msg']}") from None


def _failed(record: Record) -> bool:
    return all(case.error is not None for case in record.cases)


def _replace(path: Path, model: BaseModel) -> None:
    """Write beside the target, then rename: a reader sees the old file or the new one, never half of one."""
    text = model.model_dump_json(indent=1) + "\n"
    with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
        file.write(text)
    Path(file.name).chmod(0o644)
    Path(file.name).replace(path)
