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
class Numbers:
    """All that the text on learned reductions says.

    lacking   tasks that are not recorded
    mean, token      against no summary: the mean, and a learned token
    to_mean, shift   against the mean: a learned token, and one that is added to the mean
    fixed, in_buckets, filled   time of a batch by task, relative to the unreduced tower's: a fixed number of patches,
                                thresholds per image in buckets, and filled up
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
    fixed: pd.Series | None = None
    in_buckets: pd.Series | None = None
    filled: pd.Series | None = None
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
    rows, gains = evidence.learned, evidence.learned_gains
    times = evidence.learned_times.pivot(index="task", columns="variant", values="latency_ratio")
    protocol = evidence.records(f"clip_learned_{evidence.learned_tasks[0]}")[0].parameters
    return Numbers(
        lacking=evidence.learned_lacking,
        mean=_compared(gains, SUMMARY, NORM),
        token=_compared(gains, TOKEN, NORM),
        to_mean=_compared(gains, TOKEN, SUMMARY),
        shift=_compared(gains, SHIFT, SUMMARY),
        to_one=_compared(gains, BY_IMAGE, ONE),
        to_fixed=_compared(gains, BY_IMAGE, CLASS_ATTENTION),
        fixed=times[CLASS_ATTENTION],
        in_buckets=times[BY_IMAGE],
        filled=times[FILLED],
        images=int(rows["images"].max()),
        learned=int(protocol["learned"]),
        steps=int(protocol["steps"]),
        batch=int(protocol["scenes"]),
        seeds=rows["seed"].nunique(),
    )


def _compared(gains: pd.DataFrame, variant: str, other: str) -> Compared:
    rows = frames.where(gains, variant=variant, against=other)
    above, below = (rows["difference_low"] > 0).sum(), (rows["difference_high"] < 0).sum()
    return Compared(rows["difference"], int(above), int(below))
