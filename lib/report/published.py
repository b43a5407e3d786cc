"""What others report on the benchmarks, to stand beside our accuracies with its citation: `data/benchmarks.yml`."""

from functools import cache
from pathlib import Path
from typing import Annotated, Self

import yaml
from pydantic import Field, model_validator

from lib.names import BENCHMARKS
from lib.paths import DATA, in_repository
from lib.report.history import Fact


class Published(Fact):
    """A number that others report on a benchmark: an accuracy on its published test, or bits per character.

    method     in the words of readers
    accuracy   share of right answers
    bits       per character of a text
    citation   key of `book/references.bib`
    note       what keeps the number from being compared as it is, in words; empty where nothing does
    raises     ValueError, naming both, for an entry of no number and of two
    """

    method: Annotated[str, Field(min_length=1)]
    accuracy: float | None = Field(default=None, ge=0, le=1)
    bits: float | None = Field(default=None, gt=0, le=8)
    citation: Annotated[str, Field(pattern=r"^[a-z0-9]+$")]
    note: str = ""

    @model_validator(mode="after")
    def _of_one_number(self) -> Self:
        if (self.accuracy is None) == (self.bits is None):
            raise ValueError(f"accuracy {self.accuracy}, bits {self.bits}: exactly one of them is needed")
        return self


@cache
def published(path: Path = DATA / "benchmarks.yml") -> dict[str, tuple[Published, ...]]:
    """Benchmark -> what others report on it; those without a number are left out.

    raises   ValueError, quoting it, for a benchmark that `lib.names` has not; what pydantic raises for an entry of
             another form
    """
    written = yaml.safe_load(in_repository(path).read_text())
    for name in written:
        if name not in BENCHMARKS:
            raise ValueError(f"{path.name}: {name!r} is none of the benchmarks {', '.join(BENCHMARKS)}")
    return {name: tuple(Published.model_validate(one) for one in entries) for name, entries in written.items()}
