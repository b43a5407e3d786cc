"""The original report section by section: where this book answers, how far, and which claims stand there.

The sections are in `data/original/sections.yml`, in our words; claims name theirs in `claims.yml`.
"""

import re
from functools import cache
from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, model_validator

from lib.paths import ORIGINAL, in_repository
from lib.report.claims import ledger

SECTIONS = ORIGINAL / "sections.yml"
PLACES = re.compile(r"\b([AB]) (\d+(?:\.\d+)?(?:, \d+(?:\.\d+)?)*)")  # "B 4.1, 7.1": two sections of part B


class Section(BaseModel):
    """A section, a table or a figure of the original report.

    id     part and number, and after a comma what it is of the section
    says   what it says, in our words
    at     where this book answers: chapters and their headings
    how    how far
    why    what is missing, where it is not answered whole
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(pattern=r"^[AB](, checklist| \d(\.\d)?(, (table|\d|figure \d(\.\d)?))?)$")
    says: str
    at: tuple[tuple[str, str], ...] = Field(min_length=1)
    how: Literal["whole", "part", "none"]
    why: str = ""

    @model_validator(mode="after")
    def _reasoned(self) -> "Section":
        if (self.how == "whole") == bool(self.why):
            raise ValueError(f"{self.id}: what is missing is said where it is not answered whole, and only there")
        return self

    @property
    def place(self) -> str:
        """Part and number."""
        return self.id.partition(",")[0]


@cache
def sections(path: Path = SECTIONS) -> tuple[Section, ...]:
    """All sections, in the original report's order.

    raises   what pydantic raises for one of another form
    """
    return tuple(Section.model_validate(entry) for entry in yaml.safe_load(in_repository(path).read_text()))


def places(claim: ledger.Claim) -> set[str]:
    """Sections that a claim stands in, by part and number; none for one of another text than the report."""
    return {f"{part} {number}" for part, numbers in PLACES.findall(claim.section) for number in numbers.split(", ")}
