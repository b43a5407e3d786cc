"""State space models that see: what the chapter's text says of a Vision Mamba with fewer patches."""

from dataclasses import dataclass, field

import pandas as pd

from lib.experiments.ssm_vlm_runs import GRADUAL, LONGER, TUNED_KEEP, WHOLE
from lib.names import SCAN_REDUCTIONS, SMALL_CLIPS
from lib.report import frames
from lib.report.chapters.ssm_vlm_trained import recorded
from lib.report.evidence import Evidence
from lib.report.frames.lora_pairs import Gap, gap, of
from lib.report.views.files import naming_files

DROPPING = [SCAN_REDUCTIONS[name].label for name in ("random", "norm", "steps")]
SEGMENTS = SCAN_REDUCTIONS["segments"].label
MERGED = f"{SEGMENTS}{LONGER}"
AHEAD, LOST = 0.05, 0.02  # of accuracy: what merging is to gain over dropping, and may lose


@dataclass(frozen=True)
class OnTask:
    """One task.

    whole         accuracy with all patches; `half` by segments with longer steps, half of the patches
    ahead         segments minus the best way of dropping, `dropping`; that choice is made on the test images
    longer        segments with longer steps minus those without
    gradual       gradual minus at once, by segments
    tuned         segments, trained on, minus all patches, trained on equally
    small, large  time at half of the patches relative to all, by segments, and their numbers of patches
    """

    name: str
    whole: float
    half: float
    dropping: str
    ahead: Gap
    longer: Gap
    gradual: Gap
    tuned: Gap
    small: float
    large: float
    sizes: tuple[int, int]


@dataclass(frozen=True)
class Numbers:
    """All that the text on fewer patches says.

    tasks      those that are recorded
    tuned      further steps with half of the patches
    bar, most  points that merging is to gain over dropping, and may lose
    """

    tasks: list[OnTask] = field(default_factory=list)
    tuned: int = 0
    bar: int = round(100 * AHEAD)
    most: int = round(100 * LOST)


@naming_files
def numbers(evidence: Evidence) -> Numbers:
    """What the text says of this evidence; nothing without a record."""
    if not recorded(evidence):
        return Numbers()
    tuned = int(evidence.tower_fewer["tuned"].max())
    return Numbers([_on_task(evidence, task) for task in evidence.tower_tasks], tuned)


def _on_task(evidence: Evidence, task: str) -> OnTask:
    rows = frames.where(evidence.tower_fewer, task=task)
    half = frames.where(rows, tuned=0, keep=TUNED_KEEP)
    drops = half[half["variant"].isin(DROPPING)]
    best = drops.loc[drops["accuracy"].idxmax(), "variant"]
    times = frames.where(evidence.tower_times, task=task, variant=MERGED, keep=TUNED_KEEP)
    ratios = times.set_index("patches")["latency_ratio"].sort_index()
    answers = frames.where(evidence.tower_pairs(task), keep=TUNED_KEEP, tuned=0)
    return OnTask(
        name=SMALL_CLIPS[task],
        whole=frames.only(rows, variant=WHOLE, tuned=0)["accuracy"],
        half=frames.only(half, variant=MERGED)["accuracy"],
        dropping=best,
        ahead=_between(answers, MERGED, best),
        longer=_between(answers, MERGED, SEGMENTS),
        gradual=_between(answers, GRADUAL, MERGED),
        tuned=of(rows[(rows["tuned"] > 0) & (rows["variant"] == MERGED)].iloc[0]),
        small=ratios.iloc[0],
        large=ratios.iloc[-1],
        sizes=(int(ratios.index[0]), int(ratios.index[-1])),
    )


def _between(answers: pd.DataFrame, first: str, second: str) -> Gap:
    return gap(answers, (first, "accuracy"), (second, "accuracy"))
