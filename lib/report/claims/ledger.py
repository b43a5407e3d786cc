"""The ledger: claims of the original report, the judges that decide them, and what comes out.

The claims are in `data/original/claims.yml`, in our words. A judge is a function that is registered beside its rule:

    @decides("A9")
    def selection_saves_compute(gate: pd.DataFrame) -> Verdict: ...

Its parameters name what it reads: attributes of `lib.report.evidence.Evidence`. No verdict is written down: a changed
record can change it.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import pandas as pd
import yaml
from pydantic import BaseModel, ConfigDict, Field

from lib.paths import ORIGINAL, in_repository

REPRODUCED = "reproduced"
CORRECTED = "holds with a correction"
CONTRADICTED = "contradicted"
UNSUPPORTED = "unsupported"
NOT_TESTABLE = "not testable here"
VERDICTS = (REPRODUCED, CORRECTED, UNSUPPORTED, CONTRADICTED, NOT_TESTABLE)


class Claim(BaseModel):
    """One claim in our words: where it stands, what would settle it, which chapter tells more."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(pattern=r"^[ABR]\d+$")
    section: str
    claim: str
    kind: Literal["arithmetic", "measurement", "theory", "reproducibility"]
    chapter: str


@dataclass(frozen=True)
class Verdict:
    """What we hold against a claim, and what comes out.

    evidence  sentences with what was measured
    verdict   one of VERDICTS
    id        of the claim, which the judge's registration gives
    by        what it was judged by, where a claim has several judges
    records   names of the records that were read for it
    """

    evidence: str
    verdict: str
    id: str = ""
    by: str = ""
    records: tuple[str, ...] = ()

    @property
    def claim(self) -> Claim:
        """The claim that it is on."""
        return claims()[self.id]


@dataclass(frozen=True)
class Judge:
    """A registered judge.

    id      of the claim that it decides
    by      what it judges by, where a claim has several judges; the first registered counts in sums
    reads   names of what it reads, attributes of Evidence
    decide  the function
    """

    id: str
    by: str
    reads: tuple[str, ...]
    decide: Callable[..., Verdict]


JUDGES: list[Judge] = []


def decides(claim: str, by: str = "") -> Callable[[Callable[..., Verdict]], Callable[..., Verdict]]:
    """Register the function below as the judge of a claim.

    claim    its id
    by       what it judges by, for claims with several judges
    raises   ValueError, naming it, for a claim that is not in the file, and for a second judge of the same kind
    """

    def register(function: Callable[..., Verdict]) -> Callable[..., Verdict]:
        if claim not in claims():
            raise ValueError(f"{function.__name__} decides {claim!r}: there are {', '.join(claims())}")
        if any((one.id, one.by) == (claim, by) for one in JUDGES):
            raise ValueError(f"{function.__name__} decides {claim!r}{f' by {by}' if by else ''}, which has a judge")
        JUDGES.append(Judge(claim, by, tuple(inspect.signature(function).parameters), function))
        return function

    return register


@cache
def claims(path: Path = ORIGINAL / "claims.yml") -> dict[str, Claim]:
    """By id, in the order of the file.

    raises   ValueError, naming it, for an id that is there twice, and what pydantic raises for a claim of another form
    """
    found: dict[str, Claim] = {}
    for entry in yaml.safe_load(in_repository(path).read_text()):
        claim = Claim.model_validate(entry)
        if claim.id in found:
            raise ValueError(f"{path}: {claim.id} is there twice")
        found[claim.id] = claim
    return found


def about(chapter: str) -> list[str]:
    """Ids of the claims that a chapter tells more of, in the order of the file."""
    return [one.id for one in claims().values() if one.chapter == chapter]


def decide(holds: bool, fails: bool) -> str:
    """What is neither shown nor refuted is unsupported."""
    return REPRODUCED if holds else CONTRADICTED if fails else UNSUPPORTED


def falls(values: pd.Series) -> bool:
    """Does every value lie below the one before?"""
    return bool((values.diff().dropna() < 0).all())
