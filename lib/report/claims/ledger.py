"""The ledger: claims of the original report, the judges that decide them, and what comes out.

The claims are in `data/original/claims.yml`, in our words, each with the subjects that it is about: which model, which
data, which machine. A judge is a function that is registered beside its rule, on one subject:

    @decides("A9", on="mamba")
    def selection_saves_compute(gate: pd.DataFrame) -> Verdict: ...

Its parameters name what it reads: attributes of `lib.report.evidence.Evidence`. A claim may have judges on several
subjects. Those on what it is about decide it (`lib.report.claims.outcomes`); the others show evidence of another kind.
No verdict is written down: a changed record can change it.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

import pandas as pd
import yaml
from pydantic import BaseModel, ConfigDict, Field

from lib.paths import ORIGINAL, in_repository

CLAIMS = ORIGINAL / "claims.yml"
REPRODUCED = "reproduced"
CORRECTED = "holds with a correction"
CONTRADICTED = "contradicted"
UNSUPPORTED = "unsupported"
NOT_TESTABLE = "not testable here"
VERDICTS = (REPRODUCED, CORRECTED, UNSUPPORTED, CONTRADICTED, NOT_TESTABLE)


class Claim(BaseModel):
    """One claim in our words: where it stands, what would settle it, which chapter tells more.

    about   keys of the subjects that it is about
    fact    name of the fact that it rests on, shared with other claims; empty for one that stands alone
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(pattern=r"^[ABR]\d+$")
    section: str
    claim: str
    kind: Literal["arithmetic", "measurement", "theory", "reproducibility"]
    chapter: str
    about: tuple[str, ...] = Field(min_length=1)
    fact: str = ""


@dataclass(frozen=True)
class Verdict:
    """What we hold against a claim, and what comes out.

    evidence  sentences with what was measured
    verdict   one of VERDICTS
    id        of the claim, which the judge's registration gives
    on        key of the subject that the evidence is of, which it gives too
    records   names of the records that were read for it
    """

    evidence: str
    verdict: str
    id: str = ""
    on: str = ""
    records: tuple[str, ...] = ()

    @property
    def claim(self) -> Claim:
        """The claim that it is on."""
        return claims()[self.id]

    @property
    def decides(self) -> bool:
        """Is its evidence of a subject that the claim is about?"""
        return self.on in self.claim.about


@dataclass(frozen=True)
class Judge:
    """A registered judge.

    id      of the claim that it decides
    on      key of the subject that its evidence is of
    reads   names of what it reads, attributes of Evidence
    decide  the function
    """

    id: str
    on: str
    reads: tuple[str, ...]
    decide: Callable[..., Verdict]


JUDGES: list[Judge] = []


def decides(claim: str, *, on: str) -> Callable[[Callable[..., Verdict]], Callable[..., Verdict]]:
    """Register the function below as a judge of a claim.

    claim    its id
    on       key of the subject that the evidence is of
    raises   ValueError, naming it, for a claim or a subject that is not in the file, and for a second judge of a claim
             on one subject
    """

    def register(function: Callable[..., Verdict]) -> Callable[..., Verdict]:
        if claim not in claims():
            raise ValueError(f"{function.__name__} decides {claim!r}: there are {', '.join(claims())}")
        if on not in subjects():
            raise ValueError(f"{function.__name__} decides {claim} on {on!r}: there are {', '.join(subjects())}")
        if any((one.id, one.on) == (claim, on) for one in JUDGES):
            raise ValueError(f"{function.__name__} decides {claim!r} on {on!r}, which has a judge")
        JUDGES.append(Judge(claim, on, tuple(inspect.signature(function).parameters), function))
        return function

    return register


@cache
def _written(path: Path) -> dict[str, Any]:
    return yaml.safe_load(in_repository(path).read_text())


def subjects(path: Path = CLAIMS) -> dict[str, str]:
    """Key of a subject -> words that name its model, data and machine, its short name before the first comma."""
    return _written(path)["subjects"]


def named(subject: str) -> str:
    """The short name of a subject, such as "small CLIPs"."""
    return subjects()[subject].split(",")[0]


@cache
def claims(path: Path = CLAIMS) -> dict[str, Claim]:
    """By id, in the order of the file.

    raises   ValueError, naming it, for an id that is there twice and for a subject that is not in the file, and what
             pydantic raises for a claim of another form
    """
    found: dict[str, Claim] = {}
    for entry in _written(path)["claims"]:
        claim = Claim.model_validate(entry)
        if claim.id in found:
            raise ValueError(f"{path}: {claim.id} is there twice")
        if unknown := [one for one in claim.about if one not in subjects(path)]:
            raise ValueError(f"{path}: {claim.id} is about {unknown[0]!r}: there are {', '.join(subjects(path))}")
        found[claim.id] = claim
    return found


def about(chapter: str) -> list[str]:
    """Ids of the claims that a chapter tells more of, in the order of the file."""
    return [one.id for one in claims().values() if one.chapter == chapter]


def decide(holds: bool, fails: bool) -> str:
    """What is neither shown nor refuted is unsupported."""
    return REPRODUCED if holds else CONTRADICTED if fails else UNSUPPORTED


def falls(values: pd.Series) -> bool:
    """Does every value lie below the one before? One alone, and one that is unknown, falls from nowhere."""
    return len(values) > 1 and bool((values.diff().iloc[1:] < 0).all())
