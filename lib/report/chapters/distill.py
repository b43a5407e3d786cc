"""Kernel distillation: what the chapter's text says, and its ratios on every recorded machine."""

from dataclasses import dataclass

import pandas as pd

from lib.experiments import distill_cost as cost
from lib.experiments.distill_models import few_states
from lib.report.chapters.distill_kernels import Bank, Beyond, Layer, LowModel, kernels
from lib.report.chapters.distill_models import Form, Harm, Outcome, models
from lib.report.evidence import Evidence
from lib.report.views.base import COMPARED, comparison
from lib.report.views.distill import states_shown, stepped, taps_shown, timed
from lib.report.views.files import naming_files


@dataclass(frozen=True)
class Numbers:
    """All that the text of the chapter says, of one machine.

    Latency ratios of sequences and models are to full kernels by a cached spectrum, those of a token to the recurrence
    of all states.

    banks, dense        in the record's order: depthwise banks, and kernels of the original report's layout
    trained, real       depthwise banks whose layers were trained, with oscillating and with real modes
    low_models          whole and at a low rank
    beyond              by depthwise bank, errors over more taps than weights were fitted to
    few, states, taps   states per channel, few and all, of an initialised layer, and the length that was timed
    low_rank, wide      latency ratios of low rank, and of a recurrence of all states, at all lengths
    short, at_taps      of a recurrence of few states, at all lengths and at `taps`
    step, steps         latency ratios of a token by the recurrence of few states, at `taps` and at all lengths
    ring                that of a token by the convolution, at `taps`
    shortest, longest   taps of what streams; `ring_grows` the latency of the convolution's step from one to the other
    steady              the slowest of the recurrence's medians relative to its fastest
    few_trained         states per channel kept of trained models, of `states_trained`; `healing` steps of fine-tuning
    seeds               trainings of each kind
    lost                differences to the original before fine-tuning, with few states
    outcomes, harms     by task, and by task, method and order
    ahead, level        tasks with a number of states at which distillation beats a model small from the start; and
                        numbers of states at which it does so on no task
    timed_task, forms   the task of the model that was timed, and its forms by number of states
    case                of these, the one of fewest states that keeps the accuracy, at least on average
    whole_time          of the model as a recurrence of all states
    stored_task         whose models store `stored_low` numbers at rank `few_trained`, `stored_few` and `stored_all`
    kept_few            tasks on which balanced truncation to as many states keeps the accuracy, within the interval
    minutes             of training
    """

    banks: list[Layer]
    dense: list[Bank]
    trained: Layer
    real: Layer
    low_models: list[LowModel]
    beyond: list[Beyond]
    few: int
    states: int
    taps: int
    low_rank: pd.Series
    wide: pd.Series
    short: pd.Series
    at_taps: float
    step: float
    steps: pd.Series
    ring: float
    shortest: int
    longest: int
    ring_grows: float
    steady: float
    states_trained: int
    few_trained: int
    healing: int
    seeds: int
    lost: pd.Series
    outcomes: list[Outcome]
    ahead: list[Outcome]
    level: list[int]
    harms: list[Harm]
    timed_task: str
    forms: list[Form]
    case: Form
    whole_time: float
    stored_task: str
    stored_low: int
    stored_few: int
    stored_all: int
    kept_few: list[str]
    minutes: float


@naming_files
def numbers(evidence: Evidence) -> Numbers:
    """All that the text says.

    raises   Missing where a record is absent or incomplete
    """
    return Numbers(**kernels(evidence), **models(evidence))


@naming_files
def across_machines(evidence: Evidence) -> pd.DataFrame:
    """Latency ratios on every machine, at the sizes of the reference machine's record.

    They are to full kernels; a token's is to the recurrence of all states.
    """
    found = evidence.everywhere(cost.NAME)
    if not found:
        return pd.DataFrame(columns=["machine", *COMPARED])
    sizes, cases = found[0].parameters, cost.frame(found)
    sequences, models = (timed(cases, part) for part in (cost.SEQUENCE, cost.MODEL))
    tokens = stepped(cases, sizes["states"])
    taps, few, whole = taps_shown(sizes, sequences), few_states(sizes["states"])[0], states_shown(models)
    rank = cost.ranks(sizes["dim"])[-1]
    short, low = cost.SMALL.format(few), cost.LOW.format(rank)
    return pd.concat(
        [
            comparison(sequences, f"rank {rank}, {taps:,} tokens", low, length=taps),
            comparison(sequences, f"all {sizes['states']} states", cost.SMALL.format(sizes["states"]), length=taps),
            comparison(sequences, f"{few} states", short, length=taps),
            comparison(tokens, f"{few} states, a token, to all {sizes['states']}", short, length=taps),
            comparison(models, f"{whole} states, whole model", cost.SMALL.format(whole)),
        ]
    )
