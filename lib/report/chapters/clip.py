"""CLIP's visual tokens: what the chapter's text says, and its ratios on every recorded machine."""

from dataclasses import dataclass

import pandas as pd

from lib.experiments import clip_cost
from lib.experiments.clip_variants import (
    ADAPTIVE,
    CLASS_ATTENTION,
    KEEPS,
    NORM,
    ORIGINAL,
    RANDOM,
    ROUNDS,
    SHARE,
    TOME,
    TOME_CONSTANT,
    UNREDUCED,
)
from lib.names import SMALL_CLIPS
from lib.report import accuracy, frames, units
from lib.report.evidence import Evidence
from lib.report.frames import clip
from lib.report.views.base import comparison
from lib.report.views.clip import WITHIN
from lib.report.views.files import naming_files

HALF = 0.5  # of the patches
MODERATE = KEEPS[1]  # share of patches from which on a score is held against chance
ENOUGH = 0.98  # of the accuracy
SURE = 0.05  # probability of a split of images, below which it is beyond chance
PEERS = (TOME_CONSTANT, TOME)
HALVED = (ORIGINAL, NORM, RANDOM, CLASS_ATTENTION)


@dataclass(frozen=True)
class Share:
    """Accuracy of a method on a task, relative to the unreduced model's: the mean over checkpoints.

    high         upper end of its interval
    operations   relative to the unreduced model's
    """

    task: str
    method: str
    mean: float
    high: float
    operations: float


@dataclass(frozen=True)
class Duels:
    """Shares of the operations at which merging in rounds is ahead of a peer, or behind it, on one task.

    total             how many there are
    ahead             of them, those at which it retains more
    surely, behind    of them, those at which it is ahead, and behind, beyond chance
    """

    other: str
    total: int
    ahead: int
    surely: int
    behind: int


@dataclass(frozen=True)
class Numbers:
    """All that the text of the chapter says; ratios are to the unreduced tower, of one machine.

    half, half_operations, original_half   latency and operations of the original code with half of the patches, and
                                           the latency of the original report's own table
    usual, largest                         pixels a side; `attention` the share of operations at both
    half_precision                         latency ratio
    as_written                             cosine of the original code's features with the model's, all patches kept
    alike                                  whether all prompts have equal features at the start token
    halves                                 task -> accuracy retained with half of the patches
    worse, behind                          tasks on which the norm does worse than chance, surely and on average
    budgets, gained                        largest adaptive budget by task; what budgets retain more than a fixed number
    share, at_share                        of the operations, and what merging in rounds retains there, by task
    enough, lowest                         share of the accuracy, and the fewest operations that retain it, by task
    duels                                  task -> merging in rounds against its peers
    overhead, merging, merging_operations  of merging in rounds on the large model
    excess                                 least and most that latency lies above operations
    resolutions                            merging to a quarter at the smallest and the largest image
    slicing                                how far latency lies above operations for the original code at its fewest
    minutes                                of all trainings
    """

    half: float
    half_operations: float
    original_half: float
    usual: int
    largest: int
    attention: dict[int, float]
    half_precision: float
    as_written: float
    alike: bool
    halves: dict[str, list[Share]]
    worse: list[str]
    behind: list[str]
    budgets: list[Share]
    gained: pd.Series
    share: float
    at_share: list[Share]
    enough: float
    lowest: list[str]
    duels: dict[str, list[Duels]]
    overhead: float
    merging: float
    merging_operations: float
    excess: tuple[float, float]
    resolutions: list[pd.Series]
    slicing: float
    minutes: float


@naming_files
def numbers(evidence: Evidence) -> Numbers:
    """All that the chapter's text says.

    raises   Missing, naming it, where a record or a toy is missing or incomplete
    """
    half = frames.only(evidence.pruned, keep=HALF)
    fewest = evidence.pruned.sort_values("keep").iloc[0]
    flops = evidence.operations_by_part.pivot(index="side", columns="part", values="flops")
    attention = (flops["attention"] / flops.sum(axis="columns")).to_dict()
    worse, behind = clip.worse_guides(frames.where(evidence.norm_against_random, variant=NORM), MODERATE)
    overheads = evidence.clip_overheads
    merging = frames.only(overheads, variant=ROUNDS)
    by_side = evidence.clip_resolution.sort_values("side")
    best = frames.where(evidence.clip_by_ratio, variant=ROUNDS)
    budgets = frames.where(evidence.clip_by_keep, variant=ADAPTIVE).sort_values("ratio")
    by_keep = frames.where(evidence.clip_by_keep, keep=HALF)
    return Numbers(
        half=half["latency_ratio"],
        half_operations=half["flops_ratio"],
        original_half=frames.only(evidence.original_clip, variant="vtp", keep=HALF)["latency_ratio"],
        usual=int(half["side"]),
        largest=max(attention),
        attention=attention,
        half_precision=frames.only(evidence.clip_methods, variant=clip_cost.HALF_PRECISION)["latency_ratio"],
        as_written=evidence.original_forms[0]["as written"],
        alike=evidence.prompts_alike["start"],
        halves={
            shown: [_share(frames.only(by_keep, task=task, variant=method)) for method in HALVED]
            for task, shown in SMALL_CLIPS.items()
        },
        worse=worse,
        behind=behind,
        budgets=[_share(frames.where(budgets, task=task).iloc[-1]) for task in SMALL_CLIPS],
        gained=clip.over_fixed(evidence.clip_summary)["gained"],
        share=SHARE,
        at_share=[_share(frames.only(best, task=task, target=SHARE)) for task in SMALL_CLIPS],
        enough=ENOUGH,
        lowest=[f"{_lowest(frames.where(best, task=task))} on {shown}" for task, shown in SMALL_CLIPS.items()],
        duels={shown: _duels(frames.where(evidence.clip_outcomes, task=task)) for task, shown in SMALL_CLIPS.items()},
        overhead=max(merging["overhead"], 0.0),
        merging=merging["latency_ratio"],
        merging_operations=merging["flops_ratio"],
        excess=(overheads["excess"].min(), overheads["excess"].max()),
        resolutions=[by_side.iloc[0], by_side.iloc[-1]],
        slicing=fewest["latency_ratio"] / fewest["flops_ratio"] - 1,
        minutes=accuracy.training_minutes(evidence.clip_trainings),
    )


@naming_files
def duels(evidence: Evidence) -> pd.DataFrame:
    """Merging in rounds against both schedules of ToMe at equal operations, one after the other: column `against`."""
    return pd.concat(clip.duels(evidence.clip_outcomes, ROUNDS, other).assign(against=other) for other in PEERS)


@naming_files
def across_machines(evidence: Evidence) -> pd.DataFrame:
    """Latency ratios to the unreduced tower on every machine with a record of costs, as rows of a comparison."""
    rows = evidence.compared(clip_cost)
    if not rows.empty:
        rows = pd.concat(frames.ratios(part, UNREDUCED, WITHIN) for _, part in rows.groupby("part", sort=False))
    methods = {"part": clip_cost.METHODS}
    return pd.concat(
        [
            comparison(rows, "original code, half of the patches", part=clip_cost.ORIGINAL, keep=HALF),
            *(
                comparison(rows, f"{name}, {units.share(SHARE)} of operations", name, **methods)
                for name in (NORM, ROUNDS)
            ),
            comparison(rows, "half precision", clip_cost.HALF_PRECISION, **methods),
        ]
    )


def _share(row: pd.Series) -> Share:
    return Share(SMALL_CLIPS[row["task"]], row["variant"], row["retained"], row["retained_high"], row["ratio"])


def _lowest(rows: pd.DataFrame) -> str:
    enough = rows[rows["retained"] >= ENOUGH]
    return f"{enough['ratio'].min():.2f}" if len(enough) else "none that we tried"


def _duels(outcomes: pd.DataFrame) -> list[Duels]:
    found = []
    for other in PEERS:
        rows = clip.duels(outcomes, ROUNDS, other)
        if len(rows):
            sure, gained = rows["p"] < SURE, rows["gained"]
            counts = (gained > 0).sum(), (sure & (gained > 0)).sum(), (sure & (gained < 0)).sum()
            found.append(Duels(other, len(rows), *map(int, counts)))
    return found
