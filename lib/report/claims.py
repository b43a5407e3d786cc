"""Claims of the seed report, and verdicts on them, which are computed and never written.

The claims are in `data/seed/claims.yml`. Functions that decide are in `claims_<subject>.py`, and take frames of
`lib.report.frames` or plain values. `lib.report.checks` gives them what is recorded: a changed record can change a
verdict.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Literal

import pandas as pd
import yaml
from IPython.display import Markdown
from pydantic import BaseModel, ConfigDict, Field

from lib.paths import SEED
from lib.report.tables import table

REPRODUCED = "reproduced"
CORRECTED = "holds with a correction"
CONTRADICTED = "contradicted"
UNSUPPORTED = "unsupported"
NOT_TESTABLE = "not testable here"
VERDICTS = (REPRODUCED, CORRECTED, UNSUPPORTED, CONTRADICTED, NOT_TESTABLE)


class Claim(BaseModel):
    """One claim in our words: where it stands, what would settle it, which checks decide, which chapter tells more."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(pattern=r"^[ABR]\d+$")
    section: str
    claim: str
    kind: Literal["arithmetic", "measurement", "theory", "reproducibility"]
    chapter: str
    checks: tuple[str, ...] = Field(min_length=1)


@dataclass(frozen=True)
class Verdict:
    """What we hold against a claim, and what comes out.

    records   names of the experiments that were read for it
    """

    id: str
    evidence: str
    verdict: str
    records: tuple[str, ...] = ()

    @property
    def claim(self) -> Claim:
        return claims()[self.id]


@cache
def claims(path: Path = SEED / "claims.yml") -> dict[str, Claim]:
    """By id, in the order of the file.

    raises   ValueError, naming it, for an id that is there twice, and what pydantic raises for a claim of another form
    """
    found: dict[str, Claim] = {}
    for entry in yaml.safe_load(path.read_text()):
        claim = Claim.model_validate(entry)
        if claim.id in found:
            raise ValueError(f"{path}: {claim.id} is there twice")
        found[claim.id] = claim
    return found


def verdict_table(
    verdicts: Sequence[Verdict], caption: str, files: Mapping[str, str] = MappingProxyType({})
) -> Markdown:
    """Claim, verdict and evidence, one row each.

    files   name of a record -> its address: evidence then ends with links to the records that were read, and to the
            chapter that tells more
    """
    return table(
        {
            "claim": [f"{one.id}. {one.claim.claim} ({one.claim.section})" for one in verdicts],
            "verdict": [f"**{one.verdict}**" for one in verdicts],
            "evidence": [" ".join([one.evidence, *_links(one, files)]) for one in verdicts],
        },
        caption,
    )


def _links(verdict: Verdict, files: Mapping[str, str]) -> list[str]:
    if not files:
        return []
    chapter = verdict.claim.chapter
    records = ", ".join(f"[{name}]({files[name]})" for name in verdict.records) or "the seed's tables and this page"
    return [f"From: {records}. More: [{chapter}]({chapter}.ipynb)."]


def decide(holds: bool, fails: bool) -> str:
    """What is neither shown nor refuted is unsupported."""
    return REPRODUCED if holds else CONTRADICTED if fails else UNSUPPORTED


def falls(values: pd.Series) -> bool:
    """Does every value lie below the one before?"""
    return bool((values.diff().dropna() < 0).all())
