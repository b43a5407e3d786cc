"""CLIP's visual tokens: what the chapter's text says of other towers."""

from dataclasses import dataclass

from lib.experiments import clip_towers
from lib.experiments.clip_towers import METHODS
from lib.experiments.clip_variants import UNREDUCED
from lib.names import REDUCTIONS
from lib.report import frames
from lib.report.evidence import Evidence
from lib.report.views.base import named
from lib.report.views.files import naming_files

RECORDS = named(clip_towers)


@dataclass(frozen=True)
class Numbers:
    """All that the text on towers says.

    towers        how many; `exact`, how many of them give their own bits with every method that they take
    method        that is timed first; least and most of its latency ratios at half of the tokens, and those towers
    refusing      towers without a class token, which refuse the methods that read it; `reading`, those methods
    """

    towers: int = 0
    exact: int = 0
    method: str = ""
    least: float = 0.0
    fastest: str = ""
    most: float = 0.0
    slowest: str = ""
    refusing: tuple[str, ...] = ()
    reading: tuple[str, ...] = ()


def recorded(evidence: Evidence) -> bool:
    """Is it recorded?"""
    return evidence.has(clip_towers)


@naming_files
def numbers(evidence: Evidence) -> Numbers:
    """What the text says of this evidence; without a record, that there is none."""
    if not recorded(evidence):
        return Numbers()
    rows = evidence.towers
    whole, label = frames.where(rows, variant=UNREDUCED), REDUCTIONS[METHODS[0]].label
    half = frames.where(rows, variant=label).sort_values("latency_ratio")
    refusing = whole[whole["refused"] != ""]
    reading = dict.fromkeys(one for row in refusing["refused"] for one in row.split(", "))
    return Numbers(
        towers=len(whole),
        exact=int((whole["apart"] == "").sum()),
        method=label,
        least=half["latency_ratio"].iloc[0],
        fastest=half["tower"].iloc[0],
        most=half["latency_ratio"].iloc[-1],
        slowest=half["tower"].iloc[-1],
        refusing=tuple(f"*{one}*" for one in refusing["tower"]),
        reading=tuple(f"*{REDUCTIONS[one].label}*" for one in reading),
    )
