"""Kernel distillation: what the chapter's text says, and its ratios on every recorded machine."""

from dataclasses import dataclass

import pandas as pd

from lib.experiments import distill_cost as cost
from lib.experiments.distill_models import few_states
from lib.experiments.distill_training import ORIGINAL, SCRATCH
from lib.names import DISTILLATIONS
from lib.report import accuracy, frames
from lib.report.evidence import Evidence
from lib.report.views.base import COMPARED, comparison
from lib.report.views.distill import states_shown, taps_shown, timed
from lib.report.views.files import naming_files

MODAL, BALANCED, LOW = (DISTILLATIONS[name].label for name in ("modal", "balanced_truncation", "truncated_svd"))


@dataclass(frozen=True)
class Bank:
    """A bank's rank for an error of one percent, of its full one, and its errors at few states or ranks."""

    name: str
    needed: int
    full: int
    low_rank: float
    balanced: float


@dataclass(frozen=True)
class Gain:
    """A difference of accuracies, a share, and the upper end of its interval.

    what    a method
    order   states or rank kept
    """

    what: str
    order: int
    difference: float
    difference_high: float


@dataclass(frozen=True)
class Outcome:
    """What a task's models come to.

    accuracy   of the originals, a share
    states     order -> against the original, after fine-tuning, by the two methods with states
    low        the same of low ranks
    gains      after balanced truncation and fine-tuning, against models small from the start
    """

    task: str
    accuracy: float
    states: dict[int, list[Gain]]
    low: list[Gain]
    gains: list[Gain]


@dataclass(frozen=True)
class Harm:
    """Seeds of which fine-tuning left a model more than a point worse than it was."""

    task: str
    method: str
    order: int
    seeds: int


@dataclass(frozen=True)
class Numbers:
    """All that the text of the chapter says; latency ratios are to full kernels by a cached spectrum, of one machine.

    banks               in the record's order; `trained` is the one whose layer was trained
    few, states, taps   states per channel, few and all, and the length that was timed
    low_rank, wide      latency ratios of low rank, and of a recurrence of all states, at all lengths
    short, at_taps      of a recurrence of few states, at all lengths and at `taps`
    per_token           how many times as fast it streams a token there
    shortest, longest   taps of what streams; `ring_grows` the latency of the convolution's step from one to the other
    steady              the slowest of the recurrence's medians relative to its fastest
    model_states, model latency ratio of the whole model with so many states
    few_trained, fewer  states per channel kept of trained models, of `states_trained`; `healing` steps of fine-tuning
    seeds               trainings of each kind
    lost                differences to the original before fine-tuning, with few states
    outcomes, harms     by task, and by task, method and order
    stored_task         whose models store `stored_low` numbers at rank `few_trained`, `stored_few` and `stored_all`
    kept_few, kept_fewer   tasks on which balanced truncation keeps the accuracy: within the interval, and to a point
    minutes             of training
    """

    banks: list[Bank]
    trained: Bank
    few: int
    states: int
    taps: int
    low_rank: pd.Series
    wide: pd.Series
    short: pd.Series
    at_taps: float
    per_token: float
    shortest: int
    longest: int
    ring_grows: float
    steady: float
    model_states: int
    model: float
    states_trained: int
    few_trained: int
    fewer: int
    healing: int
    seeds: int
    lost: pd.Series
    outcomes: list[Outcome]
    harms: list[Harm]
    stored_task: str
    stored_low: int
    stored_few: int
    stored_all: int
    kept_few: list[str]
    kept_fewer: list[str]
    minutes: float


@naming_files
def numbers(evidence: Evidence) -> Numbers:
    """All that the text says.

    raises   Missing where a record is absent or incomplete
    """
    return Numbers(**_kernels(evidence), **_trained(evidence))


@naming_files
def _kernels(e: Evidence) -> dict[str, object]:
    """What banks lose, and what sequences, tokens and the whole model cost."""
    few, states, taps = e.few[0], e.distill_sizes["states"], e.kernel_taps
    short, wide = (cost.SMALL.format(count) for count in (few, states))
    ring, single = (frames.where(e.kernel_tokens, variant=name)["seconds"] for name in (cost.FULL, short))
    banks = [
        Bank(row.bank, row.needed, row.full, *(_error(e, row.bank, method, few) for method in (LOW, BALANCED)))
        for row in e.ranks.itertuples()
    ]
    return dict(
        banks=banks,
        trained=next(bank for bank in banks if bank.name == cost.TRAINED),
        few=few,
        states=states,
        taps=taps,
        low_rank=e.low_rank["latency_ratio"],
        wide=frames.where(e.kernels, variant=wide)["latency_ratio"],
        short=frames.where(e.kernels, variant=short)["latency_ratio"],
        at_taps=frames.only(e.kernels, variant=short, length=taps)["latency_ratio"],
        per_token=1 / frames.only(e.kernel_tokens, variant=short, length=taps)["latency_ratio"],
        shortest=int(e.kernel_tokens["length"].min()),
        longest=int(e.kernel_tokens["length"].max()),
        ring_grows=ring.max() / ring.min(),
        steady=single.max() / single.min(),
        model_states=e.model_states,
        model=frames.only(e.distilled_models, variant=cost.SMALL.format(e.model_states))["latency_ratio"],
    )


@naming_files
def _error(e: Evidence, bank: str, method: str, order: int) -> float:
    return frames.only(e.kernel_errors, bank=bank, variant=method, order=order)["relative_error"]


@naming_files
def _trained(e: Evidence) -> dict[str, object]:
    """What trained models keep before and after fine-tuning."""
    few, fewer = e.few_trained
    originals = frames.where(e.student_quality, variant=ORIGINAL)
    lost = frames.where(e.distilled[e.distilled["variant"].isin((MODAL, BALANCED))], order=few)
    balanced = frames.where(e.fine_tuned, variant=BALANCED)
    kept = balanced[balanced["verdict"].str.startswith("kept")]
    within = kept[kept["difference_high"] >= 0]
    task = originals["task"].iloc[0]
    stored = frames.where(e.students, task=task).groupby(["variant", "order"])["stored"].max()
    return dict(
        states_trained=int(e.students["states"].iloc[0]),
        few_trained=few,
        fewer=fewer,
        healing=int(e.students["healing"].iloc[0]),
        seeds=int(e.student_quality["seeds"].min()),
        lost=lost["difference"],
        outcomes=[_outcome(e, row.task, row.accuracy) for row in originals.itertuples()],
        harms=_harms(e),
        stored_task=task,
        stored_low=int(stored[LOW, few]),
        stored_few=int(stored[MODAL, few]),
        stored_all=int(stored.loc[ORIGINAL].max()),
        kept_few=list(frames.where(within, order=few)["task"]),
        kept_fewer=list(frames.where(kept, order=fewer)["task"]),
        minutes=e.student_minutes,
    )


@naming_files
def _outcome(e: Evidence, task: str, accuracy: float) -> Outcome:
    orders = sorted(set(e.few_trained), reverse=True)
    rows = frames.where(e.fine_tuned, task=task)
    gains = frames.where(e.against_small, task=task, variant=BALANCED).sort_values("order")
    return Outcome(
        task,
        accuracy,
        states={order: [_gain(rows, method, order) for method in (MODAL, BALANCED)] for order in orders},
        low=[_gain(rows, LOW, order) for order in orders],
        gains=[_gain(gains, BALANCED, order) for order in gains["order"]],
    )


def _gain(rows: pd.DataFrame, method: str, order: int) -> Gain:
    row = frames.only(rows, variant=method, order=order)
    return Gain(method, int(order), row["difference"], row["difference_high"])


@naming_files
def _harms(e: Evidence) -> list[Harm]:
    kind = ["task", "variant", "order"]
    made = e.students[~e.students["variant"].isin((ORIGINAL, SCRATCH))]
    before, after = (made[made["healed"] == healed].set_index([*kind, "seed"])["accuracy"] for healed in (False, True))
    worse = after[after < before.loc[after.index] - accuracy.POINT]
    return [Harm(*key, len(group)) for key, group in worse.groupby(kind, sort=False)]


@naming_files
def across_machines(evidence: Evidence) -> pd.DataFrame:
    """Latency ratios to full kernels on every machine, at the sizes of the reference machine's record."""
    found = evidence.everywhere(cost.NAME)
    if not found:
        return pd.DataFrame(columns=["machine", *COMPARED])
    sizes, cases = found[0].parameters, cost.frame(found)
    sequences, tokens, models = (timed(cases, part) for part in (cost.SEQUENCE, cost.TOKENS, cost.MODEL))
    taps, few, whole = taps_shown(sizes, sequences), few_states(sizes["states"])[0], states_shown(sizes, models)
    rank = cost.ranks(sizes["dim"])[-1]
    short, low = cost.SMALL.format(few), cost.LOW.format(rank)
    return pd.concat(
        [
            comparison(sequences, f"rank {rank}, {taps:,} tokens", low, length=taps),
            comparison(sequences, f"all {sizes['states']} states", cost.SMALL.format(sizes["states"]), length=taps),
            comparison(sequences, f"{few} states", short, length=taps),
            comparison(tokens, f"{few} states, a token", short, length=taps),
            comparison(models, f"{whole} states, whole model", cost.SMALL.format(whole)),
        ]
    )
