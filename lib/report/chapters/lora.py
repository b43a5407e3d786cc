"""Low-rank adaptation: what the chapter's text says."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import pandas as pd

from lib.experiments import lora_cost
from lib.experiments.lora_cases import BOTTLENECK
from lib.experiments.lora_labels import FULL_LONGER, LADDER, LIKE, LONGER, PLACED, RANKS, SVD, USUAL_LONGER
from lib.experiments.lora_tokens import CONTROL, HALF, KEEPS, LESS, METHODS, variant
from lib.experiments.lora_training import FULL, USUAL
from lib.names import SMALL_CLIPS
from lib.report import accuracy, frames
from lib.report.evidence import Evidence
from lib.report.frames import lora
from lib.report.views.base import comparison
from lib.report.views.files import naming_files

T4 = 15 * 2**30  # bytes of memory that a Tesla T4 leaves to a program
ENOUGH = 0.97  # retained accuracy that counts as nearly all
SMALL_ERROR = 0.01  # relative error of a matrix that counts as small


@dataclass(frozen=True)
class Share:
    """A mean over seeds, as a share, and its interval."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Gap:
    """A difference to full fine-tuning, paired by seed, and the end of its interval."""

    difference: float
    difference_high: float


@dataclass(frozen=True)
class Recovered:
    """Retained accuracy of a reduction: before, after the training, and after it with all tokens again."""

    method: str
    before: Share
    retained: Share
    kept: Share


@dataclass(frozen=True)
class OnTask:
    """What came out on one task; `_later` is after LONGER times the steps."""

    name: str
    low: Share
    full: Share
    gap: Gap
    low_later: Share
    full_later: Share
    gap_later: Gap
    best_rank: int
    loss_highest: float
    loss_usual: float
    placed: dict[str, Gap]
    start: Gap
    bottleneck: Gap
    like: Gap
    control: Share
    half: dict[str, Recovered]
    less: dict[str, Recovered]

    @property
    def reached(self) -> bool:
        """Whether the adapters' mean lies within full fine-tuning's interval, or above it."""
        return self.low.mean >= self.full.low

    @property
    def reached_later(self) -> bool:
        """The same after LONGER times the steps."""
        return self.low_later.mean >= self.full_later.low

    @property
    def enough(self) -> list[str]:
        """Methods with which nearly all of the accuracy is retained, half of the tokens left."""
        return [one.method for one in self.half.values() if one.retained.mean >= ENOUGH]


@dataclass(frozen=True)
class Numbers:
    """All that the text of the chapter says.

    tasks             a task each
    share             of the weights that learn with adapters of the usual rank
    longer            times the steps of the others
    ranks             that were tried, `highest_rank` among them
    small_optimiser   how many times less the optimiser keeps on small models; `timed_optimiser` on the `timed` one
    step_memory, step_latency   of a training step, relative to full fine-tuning's
    merged, apart     latency of the forward pass, relative to the original model's
    weights           of the timed model
    memory, held, per_image, images   bytes of a T4, of weights and adapters, of an image's activations; and what fits
    keeps             the two shares of tokens, `half` and `less`
    enough            retained accuracy that counts as nearly all
    start, whole      accuracy of the pseudocode's model before the first step, and of the original model
    needed, full_rank   rank for a small error of the formula, of each model; of how many
    small_error       relative error that counts as small
    minutes           of all trainings, on one core
    """

    tasks: list[OnTask]
    share: float
    longer: int
    ranks: list[int]
    highest_rank: int
    small_optimiser: float
    timed_optimiser: float
    timed: str
    step_memory: float
    step_latency: float
    merged: float
    apart: float
    weights: float
    memory: float
    held: float
    per_image: float
    images: float
    keeps: tuple[float, float]
    enough: float
    start: float
    whole: float
    needed: list[int]
    full_rank: int
    small_error: float
    minutes: float


@naming_files
def numbers(evidence: Evidence, factors: pd.DataFrame) -> Numbers:
    """What the text says of this evidence.

    factors   of `lib.experiments.lora_live.factors`: relative errors of the formula by model and rank
    """
    means = evidence.adapted_means
    full, low = (frames.where(means, variant=name).set_index("task") for name in (FULL, USUAL))
    whole_step, step = (frames.only(evidence.adapter_steps, variant=name) for name in (FULL, USUAL))
    apart, merged = (
        frames.only(evidence.adapter_forward, variant=name)["latency_ratio"]
        for name in (lora_cost.APART, lora_cost.MERGED)
    )
    room = lora.room(whole_step, step, T4)
    needed = factors[factors["error"] <= SMALL_ERROR].groupby("model")["rank"].min()
    return Numbers(
        tasks=[_on_task(evidence, task) for task in SMALL_CLIPS],
        share=low["share"].max(),
        longer=LONGER,
        ranks=list(RANKS),
        highest_rank=max(RANKS),
        small_optimiser=(full["optimiser_bytes"] / low["optimiser_bytes"]).min(),
        timed_optimiser=whole_step["optimiser_bytes"] / step["optimiser_bytes"],
        timed=evidence.adapter_settings["timed"],
        step_memory=step["memory_ratio"],
        step_latency=step["latency_ratio"],
        merged=merged,
        apart=apart,
        weights=whole_step["total"],
        memory=T4,
        held=room["held"],
        per_image=room["per image"],
        images=room["images"],
        keeps=KEEPS,
        enough=ENOUGH,
        start=evidence.starts["bottleneck"],
        whole=evidence.starts["unreduced"],
        needed=sorted(set(needed.astype(int))),
        full_rank=int(factors["rank"].max()),
        small_error=SMALL_ERROR,
        minutes=evidence.adapting_minutes,
    )


@naming_files
def _on_task(evidence: Evidence, task: str) -> OnTask:
    means = frames.where(evidence.adapted_means, task=task)
    gaps = frames.where(evidence.against_full_tuning, task=task)
    later = frames.where(accuracy.compared(evidence.adapted, FULL_LONGER, ("variant",)), task=task)
    losses = frames.where(evidence.adapted_losses, task=task).set_index("variant")["loss"]
    ranked = means[means["variant"].isin(LADDER)]
    return OnTask(
        name=SMALL_CLIPS[task],
        low=_share(frames.only(means, variant=USUAL), "accuracy"),
        full=_share(frames.only(means, variant=FULL), "accuracy"),
        low_later=_share(frames.only(means, variant=USUAL_LONGER), "accuracy"),
        full_later=_share(frames.only(means, variant=FULL_LONGER), "accuracy"),
        gap=_gap(gaps, USUAL),
        gap_later=_gap(later, USUAL_LONGER),
        best_rank=int(ranked.loc[ranked["accuracy"].idxmax(), "rank"]),
        loss_highest=losses[list(LADDER)[-1]],
        loss_usual=losses[USUAL],
        placed={name: _gap(gaps, name) for name in (USUAL, *PLACED)},
        start=_gap(gaps, SVD),
        bottleneck=_gap(gaps, BOTTLENECK),
        like=_gap(gaps, LIKE),
        control=_share(frames.only(evidence.recovered_means, task=task, variant=CONTROL), "retained"),
        half=_recovered(evidence, task, HALF),
        less=_recovered(evidence, task, LESS),
    )


@naming_files
def _recovered(evidence: Evidence, task: str, keep: float) -> dict[str, Recovered]:
    found = {}
    for method in METHODS:
        row = frames.only(evidence.recovered_means, task=task, variant=variant(method, keep))
        found[method] = Recovered(
            method.replace("_", " "), *(_share(row, column) for column in ("before", "retained", "kept"))
        )
    return found


def _share(row: Any, column: str) -> Share:
    return Share(row[column], row[f"{column}_low"], row[f"{column}_high"])


def _gap(rows: pd.DataFrame, name: str) -> Gap:
    row = frames.only(rows, variant=name)
    return Gap(row["difference"], row["difference_high"])


@naming_files
def across_machines(evidence: Evidence) -> pd.DataFrame:
    """Ratios of latency on every machine with a record of the costs: machine, what, ratio, low, high."""
    rows = evidence.compared(lora_cost)
    if rows.empty:
        return comparison(rows, "")
    step, forward, small = (lora.costs(rows, part) for part in (lora_cost.STEP, lora_cost.DEPLOYED, lora_cost.SMALL))
    found: Iterable[pd.DataFrame] = (
        comparison(step, "training step, all linear", USUAL),
        comparison(step, "training step, Q, V, projections", lora_cost.OTHER),
        comparison(forward, "adapters apart", lora_cost.APART),
        comparison(forward, "adapters merged", lora_cost.MERGED),
        comparison(small, "half of the tokens", variant(METHODS[-1], HALF)),
    )
    return pd.concat([one for one in found if not one.empty], ignore_index=True)
