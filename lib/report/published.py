"""What others report on the benchmarks, to stand beside our accuracies with its citation: `data/benchmarks.yml`."""

from functools import cache
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import Field

from lib.names import BENCHMARKS
from lib.paths import DATA, in_repository
from lib.report.history import Fact


class Published(Fact):
    """An accuracy on the published test of a benchmark.

    method     in the words of readers
    accuracy   share of right answers
    citation   key of `book/references.bib`
    """

    method: Annotated[str, Field(min_length=1)]
    accuracy: float = Field(ge=0, le=1)
    citation: Annotated[str, Field(pattern=r"^[a-z0-9]+$")]


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
