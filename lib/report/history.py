"""The original report's repository as facts with commit, file and date, and what can be computed from them.

The facts are in `data/original/history.yml`, those of papers on models that the report cites in `papers.yml`. Whether a
file was there at a state is not written down: the events decide.
"""

from datetime import date
from functools import cache
from pathlib import Path
from typing import Annotated, Literal, Self

import pandas as pd
import yaml
from pydantic import BaseModel, ConfigDict, Field, model_validator

from lib.paths import ORIGINAL, in_repository
from lib.report.frames import Missing

Commit = Annotated[str, Field(pattern=r"^[0-9a-f]{7,40}$")]
Place = Annotated[str, Field(min_length=1)]  # a path in the repository, or a section of the report
ADDED, CHANGED, DELETED, PRESENT, NEVER = "added", "changed", "deleted", "present", "never"
REPORT, TODAY = "report", "today"  # states that verdicts compare: its date, the newest commit


class Fact(BaseModel):
    """What all facts are: exactly their own fields, and constant."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class State(Fact):
    """A day at which the repository is looked at.

    words    that name it
    commit   the newest on that day, where one is known
    """

    words: str
    date: date
    commit: Commit | None = None


class Event(Fact):
    """What commits of one day did to files, or what was seen of them at a commit.

    state   added, changed or deleted by these commits; present at this one; never: in no commit up to this one
    """

    state: Literal["added", "changed", "deleted", "present", "never"]
    files: tuple[Place, ...] = Field(min_length=1)
    commits: tuple[Commit, ...] = Field(min_length=1)
    date: date


class Source(Fact):
    """A file at a commit; a place in the report itself has none."""

    file: Place
    commit: Commit | None = None

    def __str__(self) -> str:
        return f"`{self.file}`" + (f" ({self.commit})" if self.commit else "")


class Run(Source):
    """Where a run's numbers are printed; `words` name it."""

    words: str


class Search(Fact):
    """What was looked for in all commits, and where it is: `what` follows "a file that"."""

    what: str
    found: tuple[Source, ...]


class History(Fact):
    """All facts of the repository; `promises` are places of results that the report's checklists name.

    raises   ValueError, naming it, for a file that never was, and to which something happened
    """

    repository: str
    states: dict[str, State]
    events: tuple[Event, ...]
    promises: tuple[Place, ...]
    runs: dict[str, Run]
    searches: dict[str, Search]

    @model_validator(mode="after")
    def _never_is_never(self) -> Self:
        never = {file for one in self.events if one.state == NEVER for file in one.files}
        other = {file for one in self.events if one.state != NEVER for file in one.files}
        if both := sorted(never & other):
            raise ValueError(f"{both[0]}: in no commit, and {ADDED}, {CHANGED}, {DELETED} or {PRESENT} by one")
        return self


class Paper(Fact):
    """What a paper's abstract says of its models: their sizes, from the smallest to the largest, and by what means.

    sizes_from   number of the paper that gives the sizes, where it is another
    """

    arxiv: str = Field(pattern=r"^\d{4}\.\d{5}$")
    parameters: tuple[int, int]
    by: tuple[str, ...]
    sizes_from: str | None = Field(default=None, pattern=r"^\d{4}\.\d{5}$")


@cache
def history(path: Path = ORIGINAL / "history.yml") -> History:
    """The facts of the repository.

    raises   what pydantic raises for a fact of another form
    """
    return History.model_validate(yaml.safe_load(in_repository(path).read_text()))


@cache
def papers(path: Path = ORIGINAL / "papers.yml") -> dict[str, Paper]:
    """Model -> what its paper says.

    raises   what pydantic raises for a paper of another form
    """
    written = yaml.safe_load(in_repository(path).read_text())
    return {name: Paper.model_validate(entry) for name, entry in written.items()}


def there(events: tuple[Event, ...], file: str, on: date) -> bool:
    """Was a file in the repository on a day, by the events of that day and before?

    raises   Missing, naming the file, where no event tells
    """
    mine = sorted((one for one in events if file in one.files), key=lambda one: one.date)
    before = [one.state for one in mine if one.date <= on]
    after = [one.state for one in mine if one.date > on]
    if before:
        return before[-1] not in (DELETED, NEVER)
    if after and after[0] in (ADDED, NEVER):
        return False
    raise Missing(f"no event tells whether {file} was there on {on}")


def promised(facts: History) -> pd.DataFrame:
    """Places of results that the report's checklists name: column file, and by state whether it was there."""
    days = {name: state.date for name, state in facts.states.items()}
    found = {name: [there(facts.events, file, day) for file in facts.promises] for name, day in days.items()}
    return pd.DataFrame({"file": facts.promises} | found)
