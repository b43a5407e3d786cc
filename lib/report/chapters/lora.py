"""Low-rank adaptation: what the chapter's text says."""

from collections.abc import Iterable
from dataclasses import dataclass

import pandas as pd

from lib.experiments import lora_cost
from lib.experiments.lora_labels import LONGER, RANKS
from lib.experiments.lora_tokens import HALF, LESS, METHODS, variant
from lib.experiments.lora_training import FULL, RANK, USUAL
from lib.names import SMALL_CLIPS
from lib.report import frames
from lib.report.chapters.lora_tasks import CHOSEN, ENOUGH, MERGED, OnTask, on_task
from lib.report.evidence import Evidence
from lib.report.frames import lora
from lib.report.views.base import comparison
from lib.report.views.files import naming_files

T4 = 15 * 2**30  # bytes of memory that a Tesla T4 leaves to a program
SMALL_ERROR = 0.01  # relative error of a matrix that counts as small


@dataclass(frozen=True)
class Numbers:
    """All that the text of the chapter says.

    tasks             a task each
    rank, share       of the usual adapters: their rank, and the share of the weights that learn
    longer            times the steps of the others
    ranks             that were tried, `highest_rank` among them
    seeds, checkpoints   trainings of each kind, and models of each task, which they share
    small_optimiser   how many times less the optimiser keeps on small models; `timed_optimiser` on the `timed` one
    timed, batch      the model whose training steps were timed, and images of a step
    step_memory, step_latency   of a training step, relative to full fine-tuning's
    merged, apart     latency of the forward pass, relative to the original model's
    weights           of the timed model
    memory, held, per_image, images   bytes of a T4, of weights and adapters, of an image's activations; and what fits
    merging, choosing   latencies of the small tower, relative to the unreduced one: merging to three tenths of the
                      tokens, the class token's choice of half
    half, less        the two shares of tokens
    enough            retained accuracy that counts as nearly all
    start, whole      accuracy of the pseudocode's model before the first step, and of the original model
    needed, full_rank   rank for a small error of the formula, of each model; of how many
    small_error       relative error that counts as small
    minutes           of all trainings, on one core
    """

    tasks: list[OnTask]
    rank: int
    share: float
    longer: int
    ranks: list[int]
    highest_rank: int
    seeds: int
    checkpoints: int
    small_optimiser: float
    timed_optimiser: float
    timed: str
    batch: int
    step_memory: float
    step_latency: float
    merged: float
    apart: float
    weights: float
    memory: float
    held: float
    per_image: float
    images: float
    merging: float
    choosing: float
    half: float
    less: float
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
    full, low = (
        frames.where(evidence.adapted, variant=name).drop_duplicates("task").set_index("task") for name in (FULL, USUAL)
    )
    whole_step, step = (frames.only(evidence.adapter_steps, variant=name) for name in (FULL, USUAL))
    forward, towers = (
        rows.set_index("variant")["latency_ratio"] for rows in (evidence.adapter_forward, evidence.adapter_towers)
    )
    room = lora.room(whole_step, step, T4)
    needed = factors[factors["error"] <= SMALL_ERROR].groupby("model")["rank"].min()
    return Numbers(
        tasks=[on_task(evidence, task) for task in SMALL_CLIPS],
        rank=RANK,
        share=low["share"].max(),
        longer=LONGER,
        ranks=list(RANKS),
        highest_rank=max(RANKS),
        seeds=evidence.adapted["seed"].nunique(),
        checkpoints=evidence.adapted["checkpoint"].nunique(),
        small_optimiser=(full["optimiser_bytes"] / low["optimiser_bytes"]).min(),
        timed_optimiser=whole_step["optimiser_bytes"] / step["optimiser_bytes"],
        timed=evidence.adapter_settings["timed"],
        batch=int(step["batch"]),
        step_memory=step["memory_ratio"],
        step_latency=step["latency_ratio"],
        merged=forward[lora_cost.MERGED],
        apart=forward[lora_cost.APART],
        weights=whole_step["total"],
        memory=T4,
        held=room["held"],
        per_image=room["per image"],
        images=room["images"],
        merging=towers[variant(MERGED, LESS)],
        choosing=towers[variant(CHOSEN, HALF)],
        half=HALF,
        less=LESS,
        enough=ENOUGH,
        start=evidence.starts["bottleneck"],
        whole=evidence.starts["unreduced"],
        needed=sorted(set(needed.astype(int))),
        full_rank=int(factors["rank"].max()),
        small_error=SMALL_ERROR,
        minutes=evidence.adapting_minutes,
    )


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
