"""Cases: what was measured of one variant at one setting, and what its numbers may be.

Every field has bounds. What does not fit is refused by its name, when a case is made and when a file is read.
"""

import re
from collections.abc import Iterable
from math import isfinite
from numbers import Integral, Real
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from lib.profilers import clocks
from lib.profilers.profile import Profile

Scalar = bool | int | float | str | None

LARGEST = 2**63  # of whole numbers: what frames hold
YEAR = 366 * 24 * 3600.0  # seconds: nothing here runs longer
ROUNDED = 1e-5  # by which a mean cosine in float32 may lie above one
TWENTIETHS = 40  # losses of one training, at most: a twentieth of few steps is rounded down to whole ones


def _whole(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise ValueError(f"{_quoted(value)} is no whole number")
    return int(value)


def _real(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, Real):
        raise ValueError(f"{_quoted(value)} is no number")
    try:
        number = float(value)
    except OverflowError:
        number = float("inf")
    if not isfinite(number):
        raise ValueError(f"{number} is not finite")
    return number


def _seed(value: object) -> int:
    """A seed: a key in JSON is text, and of the texts for a number one is allowed."""
    if isinstance(value, str):
        if not re.fullmatch(r"0|[1-9][0-9]{0,18}", value):
            raise ValueError(f"{_quoted(value)} is no seed")
        return int(value)
    return _whole(value)


def _line(value: str) -> str:
    if not value.strip() or len(value.splitlines()) > 1:
        raise ValueError(f"{_quoted(value)}: one line with something in it is needed")
    return value


def _bits(value: str) -> str:
    if not re.fullmatch(r"[0-9a-f]+", value):
        raise ValueError(f"{_quoted(value)}: hexadecimal digits in lower case are needed")
    return value


def _quoted(value: object) -> str:
    said = repr(value)
    return said if len(said) <= 60 else f"{said[:60]}..."


def _real_within(**bounds: float) -> Any:
    return Annotated[float, BeforeValidator(_real), Field(**bounds)]


Whole = Annotated[int, BeforeValidator(_whole), Field(ge=0, lt=LARGEST)]
Seed = Annotated[int, BeforeValidator(_seed), Field(ge=0, lt=LARGEST)]
Line = Annotated[str, AfterValidator(_line)]
Bits = Annotated[str, AfterValidator(_bits)]
Seconds = _real_within(ge=0, lt=YEAR)
Share = _real_within(ge=0, le=1)
Cosine = _real_within(ge=-1 - ROUNDED, le=1 + ROUNDED)
Nats = _real_within(ge=0)
Error = _real_within(ge=0)

# One of these, or an error:
MEASURES = ("seconds", "peak_bytes", "flops", "accuracies", "relative_errors", "correlations")
BESIDE = (  # only beside one of those
    "losses",
    "valid_losses",
    "test_losses",
    "agreements",
    "cosines",
    "right",
    "host_seconds",
    "clock",
)
BY_SEED = (
    "accuracies",
    "losses",
    "valid_losses",
    "test_losses",
    "relative_errors",
    "agreements",
    "cosines",
    "correlations",
    "right",
)


def check_scalars(values: dict[str, Scalar]) -> dict[str, Scalar]:
    """Accept named values that JSON and frames can hold.

    raises   ValueError, naming it, for a number that is not finite or has more than 63 bits, and for an empty name
    """
    for name, value in values.items():
        if not name.strip():
            raise ValueError(f"{_quoted(name)} is no name of a parameter")
        if isinstance(value, int | float) and not (isfinite(value) if isinstance(value, float) else _fits(value)):
            raise ValueError(f"{name} = {_quoted(value)}: a finite number of at most 63 bits is needed")
    return values


class Case(BaseModel):
    """One variant at one setting. `seconds` are raw, one per timed run, or one per training.

    host_seconds  until each call returned, where `seconds` are a GPU's own
    clock       of `seconds`, one of `lib.profilers.clocks`; None of trainings, and of files that are older than it
    accuracies  seed -> share in 0..1
    losses      [nats] seed -> means over every twentieth of the steps planned; fewer where training ended early
    valid_losses   [nats] seed -> on data held back, after every twentieth of the steps planned
    test_losses    [nats] seed -> of the trained model on the test set
    relative_errors   seed -> norm of what an approximation loses, over that of what it stands for
    agreements  seed -> share of answers, right or wrong, that are those of what it stands for
    cosines     seed -> mean cosine of features with those of what it stands for
    correlations   seed -> of every image, of a map with that of what it stands for
    right       seed -> which answers of the test set are right, in order: one bit each, hexadecimal
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    variant: Line
    parameters: dict[str, Scalar]
    seconds: list[Seconds] = []
    peak_bytes: Whole | None = None
    flops: Whole | None = None
    accuracies: dict[Seed, Share] = {}
    losses: dict[Seed, Annotated[list[Nats], Field(min_length=1, max_length=TWENTIETHS)]] = {}
    valid_losses: dict[Seed, Annotated[list[Nats], Field(min_length=1, max_length=TWENTIETHS)]] = {}
    test_losses: dict[Seed, Nats] = {}
    relative_errors: dict[Seed, Error] = {}
    agreements: dict[Seed, Share] = {}
    cosines: dict[Seed, Cosine] = {}
    correlations: dict[Seed, Annotated[list[Cosine], Field(min_length=1)]] = {}
    right: dict[Seed, Bits] = {}
    error: Line | None = None
    host_seconds: list[Seconds] = []
    clock: Literal[clocks.NAMES] | None = None

    _scalars = field_validator("parameters")(check_scalars)

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        measured = [name for name in MEASURES if getattr(self, name) not in (None, [], {})]
        beside = [name for name in BESIDE if getattr(self, name) not in (None, [], {})]
        if bool(measured) == (self.error is not None) or (beside and not measured):
            raise ValueError("a case holds either measurements or an error")
        return self

    @model_validator(mode="after")
    def _of_one_run(self) -> Self:
        """Refuse times and values by seed that are not of the same runs."""
        if self.host_seconds and len(self.host_seconds) != len(self.seconds):
            raise ValueError(f"host_seconds: {len(self.host_seconds)} of {len(self.seconds)} timed runs")
        if self.clock and not self.seconds:
            raise ValueError(f"clock: {self.clock!r}, and no seconds")
        if not self.accuracies and not all(self.seconds):
            raise ValueError(f"seconds.{self.seconds.index(0)}: 0.0, and a timed run takes longer")
        if self.seconds and self.accuracies and len(self.seconds) != len(self.accuracies):
            raise ValueError(f"seconds: {len(self.seconds)} of {len(self.accuracies)} trainings")
        seeds = {name: set(values) for name in BY_SEED if (values := getattr(self, name))}
        for name, held in seeds.items():
            if held != (first := next(iter(seeds.values()))):
                raise ValueError(f"{name}: of seeds {_few(held)}, and {next(iter(seeds))} of {_few(first)}")
        for name in ("right", "correlations"):
            if len({len(one) for one in getattr(self, name).values()}) > 1:
                raise ValueError(f"{name}: not of the same length for every seed")
        return self

    @classmethod
    def of(cls, variant: str, result: Profile, **parameters: Scalar) -> Self:
        """A case from what the profilers returned."""
        return cls(variant=variant, parameters=parameters, **vars(result))


def check_together(cases: Iterable[Case]) -> None:
    """Accept cases of one record: each once, those of a part of the same seeds, all judged by the same test set.

    raises   ValueError, naming case and field, for any other
    """
    known: dict[tuple, int] = {}
    of_seeds: dict[Scalar, tuple[int, set[int]]] = {}  # by part
    judged: tuple[int, int] | None = None
    for number, case in enumerate(cases):
        key = case.variant, tuple(sorted(case.parameters.items()))
        if (first := known.setdefault(key, number)) != number:
            raise ValueError(f"cases.{number}.parameters: {case.variant!r} is there twice, cases.{first} is the same")
        for name in BY_SEED:
            if held := getattr(case, name):
                first, seeds = of_seeds.setdefault(case.parameters.get("part"), (number, set(held)))
                if set(held) != seeds:
                    other = f"cases.{first} of {_few(seeds)}"
                    raise ValueError(f"cases.{number}.{name}: of seeds {_few(held)}, and {other}")
        for bits in case.right.values():
            judged = judged or (number, len(bits))
            if len(bits) != judged[1]:
                raise ValueError(f"cases.{number}.right: {len(bits)} digits, and {judged[1]} in cases.{judged[0]}")


def _few(seeds: Iterable[int]) -> str:
    found = sorted(seeds)
    return ", ".join(map(str, found[:8])) + (", ..." if len(found) > 8 else "")


def _fits(value: int) -> bool:
    return -LARGEST <= value < LARGEST
