"""CLIP's visual tokens: what the chapter's text says of reductions of which some numbers are learned."""

from dataclasses import dataclass, field

import pandas as pd

from lib.experiments import clip_learned
from lib.experiments.clip_learned import FILLED
from lib.experiments.clip_learned_runs import BY_IMAGE, ONE, SHIFT, TOKEN
from lib.experiments.clip_variants import CLASS_ATTENTION, NORM, SUMMARY
from lib.names import SMALL_CLIPS
from lib.report import frames
from lib.report.evidence import Evidence
from lib.report.views.files import naming_files


@dataclass(frozen=True)
class Compared:
    """A learned reduction against one without what was learned, over tasks and shares.

    differences   of accuracy, one a task and share
    above, below  whole intervals above and below zero
    """

    differences: pd.Series
    above: int
    below: int

    @property
    def total(self) -> int:
        """Tasks and shares."""
        return len(self.differences)


@dataclass(frozen=True)
class Timed:
    """A batch of one task's images, relative to the unreduced tower's: a fixed number, in buckets, filled up."""

    name: str
    fixed: float
    in_buckets: float
    filled: float


@dataclass(frozen=True)
class Numbers:
    """All that the text on learned reductions says.

    lacking   tasks that are not recorded
    mean, token      against no summary: the mean, and a learned token
    to_mean, shift   against the mean: a learned token, and one that is added to the mean
    to_one, to_fixed   thresholds per image against one for all, and against a fixed number
    images, learned, steps, batch, seeds   that judge, that are learned on; of each training; of a timed batch
    """

    lacking: list[str] = field(default_factory=list)
    mean: Compared | None = None
    token: Compared | None = None
    to_mean: Compared | None = None
    shift: Compared | None = None
    to_one: Compared | None = None
    to_fixed: Compared | None = None
    times: list[Timed] = field(default_factory=list)
    images: int = 0
    learned: int = 0
    steps: int = 0
    batch: int = 0
    seeds: int = 0


def recorded(evidence: Evidence) -> bool:
    """Is any task recorded?"""
    return evidence.has(clip_learned, clip_learned.TASKS)


@naming_files
def numbers(evidence: Evidence) -> Numbers:
    """What the text says of this evidence; without a record, that there is none."""
    if not recorded(evidence):
        return Numbers(lacking=list(SMALL_CLIPS.values()))
    rows, gains, times = evidence.learned, evidence.learned_gains, evidence.learned_times
    protocol = evidence.records(f"clip_learned_{evidence.learned_tasks[0]}")[0].parameters
    return Numbers(
        lacking=evidence.learned_lacking,
        mean=_compared(gains, SUMMARY, NORM),
        token=_compared(gains, TOKEN, NORM),
        to_mean=_compared(gains, TOKEN, SUMMARY),
        shift=_compared(gains, SHIFT, SUMMARY),
        to_one=_compared(gains, BY_IMAGE, ONE),
        to_fixed=_compared(gains, BY_IMAGE, CLASS_ATTENTION),
        times=[_timed(frames.where(times, task=task), task) for task in evidence.learned_tasks],
        images=int(rows["images"].max()),
        learned=int(protocol["learned"]),
        steps=int(protocol["steps"]),
        batch=int(times["batch"].max()),
        seeds=rows["seed"].nunique(),
    )


def _compared(gains: pd.DataFrame, variant: str, other: str) -> Compared:
    rows = frames.where(gains, variant=variant, against=other)
    above, below = (rows["difference_low"] > 0).sum(), (rows["difference_high"] < 0).sum()
    return Compared(rows["difference"], int(above), int(below))


def _timed(rows: pd.DataFrame, task: str) -> Timed:
    by = rows.set_index("variant")["latency_ratio"]
    return Timed(SMALL_CLIPS[task], by[CLASS_ATTENTION], by[BY_IMAGE], by[FILLED])
