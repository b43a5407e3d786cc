"""CLIP's visual tokens: what the chapter's text says, and its ratios on every recorded machine.

A time, a memory and an accuracy that stand together are of one small CLIP; ViT-B/16, with random weights, has times.
"""

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
from lib.report.frames import clip, clip_equal
from lib.report.frames.clip_equal import AHEAD, BEHIND, LEVEL, OTHER, OWN, Met
from lib.report.views.base import comparison
from lib.report.views.clip import KINDS, WITHIN
from lib.report.views.files import naming_files

HALF = 0.5  # of the patches
MODERATE = KEEPS[1]  # share of patches from which on a score is held against chance
ENOUGH = 0.98  # of the accuracy
PEERS = (TOME_CONSTANT, TOME)
GUIDES = {AHEAD: "better than", LEVEL: "level with", BEHIND: "worse than"}
HALVED = (ORIGINAL, NORM, RANDOM, CLASS_ATTENTION)


@dataclass(frozen=True)
class Share:
    """Accuracy of a method on a task, relative to the unreduced model's: the mean over checkpoints.

    low, high    its interval
    operations   relative to the unreduced model's
    """

    task: str
    method: str
    mean: float
    low: float
    high: float
    operations: float


@dataclass(frozen=True)
class Small(Share):
    """The same with time and memory of a small model, `timed` for the task, and accuracies before, least and most."""

    time: float
    memory: float
    right: tuple[float, float]
    timed: bool


@dataclass(frozen=True)
class Numbers:
    """All that the text of the chapter says; ratios are to the unreduced tower, of one machine. Of ViT-B/16:

    half, half_operations, original_half   the original code with half of the patches, and its own table's latency
    usual, largest, attention              pixels a side, and the share of operations at both
    half_precision                         latency ratio
    overhead, merging, merging_operations  of merging in rounds; `excess` of all methods' latency above operations
    resolutions                            merging to a quarter at the smallest and the largest image
    slicing                                how far latency lies above operations for the original code at its fewest

    Of small CLIPs, by task:

    small                    the models, merging in rounds at `share` of the operations; `minutes` of all trainings
    alike                    whether all prompts have equal features at the start token
    coded                    what the original code retains with all patches, the text read at its end
    each_alone               whether each fault by itself surely costs accuracy on every task
    halves                   accuracy retained with half of the patches
    worse, behind            where the norm does worse than chance from `moderate` down, surely and on average
    attended                 half of the patches by class attention are better than, level with, worse than random
    budgets, gained          largest adaptive budget; what budgets retain more than a fixed number
    lowest                   the fewest operations that retain `enough`
    met, tome                how settings are of equal cost -> comparisons of merging in rounds; those with ToMe
    best, weakest            points over the best other method that takes no more time, and where it gains least
    close                    other methods than ToMe, and up to which of its times it is not ahead of them
    """

    half: float
    half_operations: float
    original_half: float
    usual: int
    largest: int
    attention: dict[int, float]
    half_precision: float
    small: list[Small]
    alike: bool
    coded: list[Share]
    each_alone: bool
    halves: dict[str, list[Share]]
    worse: list[str]
    behind: list[str]
    moderate: float
    attended: dict[str, str]
    budgets: list[Share]
    gained: pd.Series
    share: float
    enough: float
    lowest: list[str]
    met: dict[str, dict[str, dict[str, Met]]]
    tome: dict[str, Met]
    best: dict[str, pd.Series]
    weakest: dict[str, pd.Series]
    close: dict[str, list[str]]
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
    by_keep = evidence.clip_by_keep
    halves = {
        task: [_share(frames.only(by_keep, task=task, variant=method, keep=HALF)) for method in HALVED]
        for task in SMALL_CLIPS
    }
    coded = [_share(frames.only(by_keep, task=task, variant=ORIGINAL, keep=1.0)) for task in SMALL_CLIPS]
    alike = evidence.prompts_alike["start"]
    scored = [one for found in halves.values() for one in found if one.method == NORM]
    time, own_time = (frames.where(evidence.clip_at_time, cheaper=side) for side in (OTHER, OWN))
    equal = {"operations": evidence.clip_at_operations, "time": time, "own_time": own_time}
    time = {shown: frames.where(time, task=task) for task, shown in SMALL_CLIPS.items()}
    return Numbers(
        half=half["latency_ratio"],
        half_operations=half["flops_ratio"],
        original_half=frames.only(evidence.original_clip, variant="vtp", keep=HALF)["latency_ratio"],
        usual=int(half["side"]),
        largest=max(attention),
        attention=attention,
        half_precision=frames.only(evidence.clip_methods, variant=clip_cost.HALF_PRECISION)["latency_ratio"],
        small=[_small(evidence, frames.only(best, task=task, target=SHARE)) for task in SMALL_CLIPS],
        alike=alike,
        coded=coded,
        each_alone=alike and all(one.high < 1 for one in (*coded, *scored)),
        halves={SMALL_CLIPS[task]: found for task, found in halves.items()},
        worse=worse,
        behind=behind,
        moderate=MODERATE,
        attended={shown: _attended(evidence.reduced, shown) for shown in SMALL_CLIPS.values()},
        budgets=[_share(frames.where(budgets, task=task).iloc[-1]) for task in SMALL_CLIPS],
        gained=clip.over_fixed(evidence.clip_summary)["gained"],
        share=SHARE,
        enough=ENOUGH,
        lowest=[f"{_lowest(frames.where(best, task=task))} on {shown}" for task, shown in SMALL_CLIPS.items()],
        met={
            kind: {shown: clip_equal.split(frames.where(rows, task=task), PEERS) for task, shown in SMALL_CLIPS.items()}
            for kind, rows in equal.items()
        },
        tome={kind: clip_equal.summed(rows[rows["against"].isin(PEERS)]) for kind, rows in equal.items()},
        best={task: rows.groupby(OWN)["gained"].min() for task, rows in time.items()},
        weakest={task: rows.loc[rows["gained"].idxmin()] for task, rows in time.items()},
        close={task: _close(rows) for task, rows in time.items()},
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
        rows = rows[rows["part"] != clip_cost.SMALL]
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
    ends = row["retained_low"], row["retained_high"]
    return Share(SMALL_CLIPS[row["task"]], row["variant"], row["retained"], *ends, row["ratio"])


def _lowest(rows: pd.DataFrame) -> str:
    enough = rows[rows["retained"] >= ENOUGH]
    return f"{enough['ratio'].min():.2f}" if len(enough) else "none that we tried"


def _small(evidence: Evidence, row: pd.Series) -> Small:
    right = frames.where(evidence.clip_outcomes, task=row["task"], variant=UNREDUCED)["accuracy"]
    cost = {"time": row["latency_ratio"], "memory": row["memory_ratio"], "right": (right.min(), right.max())}
    return Small(**vars(_share(row)), **cost, timed=row["checkpoint"] == clip_cost.CHECKPOINT.format(row["task"]))


def _attended(rows: pd.DataFrame, task: str) -> str:
    rows = rows[(rows["task"] == task) & (rows["keep"] == HALF) & rows["variant"].isin([CLASS_ATTENTION, RANDOM])]
    one = frames.only(accuracy.compared(rows, RANDOM, KINDS), variant=CLASS_ATTENTION)
    return GUIDES[clip_equal.outcome(one["difference_low"], one["difference_high"])]


def _close(rows: pd.DataFrame) -> list[str]:
    rows = rows[(rows["outcome"] != AHEAD) & ~rows["against"].isin(PEERS)]
    return [
        f"{other} up to {units.times(most)}" for other, most in rows.groupby("against", sort=False)[OWN].max().items()
    ]
