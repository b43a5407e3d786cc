"""Kernel distillation: what the chapter's text says of trained models, and of the one whose forms were timed."""

from dataclasses import dataclass

import pandas as pd

from lib.experiments import distill_cost as cost
from lib.experiments.distill_training import DATA, ORIGINAL, SCRATCH
from lib.names import DISTILLATIONS
from lib.report import accuracy, frames
from lib.report.evidence import Evidence
from lib.report.views.distill_forms import DISTILLED, FACTORED, FITTED, SVD, TIMED
from lib.report.views.files import naming_files

MODAL = DISTILLATIONS["modal"].label


@dataclass(frozen=True)
class Gain:
    """A difference of accuracies, a share, and the ends of its interval.

    what    a method
    order   states or rank kept
    """

    what: str
    order: int
    difference: float
    difference_low: float
    difference_high: float

    @property
    def ahead(self) -> bool:
        """Does the whole interval lie above zero?"""
        return self.difference_low > 0


@dataclass(frozen=True)
class Form:
    """The timed model with so many states, or at that rank; accuracies are of models of the same sizes.

    time, memory         relative to the model with full kernels
    distilled, scratch   against the original: after balanced truncation and fine-tuning, and small from the start
    low, low_time        of a low rank, fine-tuned alike
    """

    order: int
    time: float
    memory: float
    distilled: Gain
    scratch: Gain
    low: Gain
    low_time: float


@dataclass(frozen=True)
class Outcome:
    """What a task's models come to.

    accuracy   of the originals, a share
    gains      after balanced truncation and fine-tuning, against models small from the start
    """

    task: str
    accuracy: float
    gains: list[Gain]

    @property
    def ahead(self) -> list[int]:
        """Numbers of states at which distillation is ahead of a model small from the start, by the whole interval."""
        return [gain.order for gain in self.gains if gain.ahead]


@dataclass(frozen=True)
class Harm:
    """Seeds of which fine-tuning left a model more than a point worse than it was."""

    task: str
    method: str
    order: int
    seeds: int


@naming_files
def models(e: Evidence) -> dict[str, object]:
    """What trained models keep before and after fine-tuning, and what the forms of one of them cost."""
    few = e.few_trained[0]
    originals = frames.where(e.student_quality, variant=ORIGINAL)
    lost = frames.where(e.distilled[e.distilled["variant"].isin((MODAL, FITTED))], order=few)
    balanced = frames.where(e.fine_tuned, variant=FITTED)
    kept = balanced[balanced["verdict"].str.startswith("kept")]
    within = kept[kept["difference_high"] >= 0]
    task = originals["task"].iloc[0]
    stored = frames.where(e.students, task=task).groupby(["variant", "order"])["stored"].max()
    outcomes = [_outcome(e, row.task, row.accuracy) for row in originals.itertuples()]
    shown, states = forms(e.one_model), int(e.students["states"].iloc[0])
    return dict(
        states_trained=states,
        few_trained=few,
        healing=int(e.students["healing"].iloc[0]),
        seeds=int(e.student_quality["seeds"].min()),
        lost=lost["difference"],
        outcomes=outcomes,
        ahead=[one for one in outcomes if one.ahead],
        level=sorted(
            {gain.order for one in outcomes for gain in one.gains} - {k for one in outcomes for k in one.ahead}
        ),
        harms=_harms(e),
        timed_task=DATA[TIMED],
        forms=shown,
        case=_case(shown, list(frames.where(kept, task=DATA[TIMED])["order"])),
        whole_time=frames.only(e.distilled_models, variant=cost.SMALL.format(states))["latency_ratio"],
        stored_task=task,
        stored_low=int(stored[SVD, few]),
        stored_few=int(stored[MODAL, few]),
        stored_all=int(stored.loc[ORIGINAL].max()),
        kept_few=list(frames.where(within, order=few)["task"]),
        minutes=e.student_minutes,
    )


def forms(one_model: pd.DataFrame) -> list[Form]:
    """By number of states, of `Views.one_model`."""
    found = []
    for order in sorted(frames.where(one_model, made=DISTILLED)["order"]):
        rows = {made: frames.only(one_model, made=made, order=order) for made in (DISTILLED, SCRATCH, FACTORED)}
        gains = [gain(made, row) for made, row in rows.items()]
        timed, low = rows[DISTILLED], rows[FACTORED]
        found.append(Form(order, timed["latency_ratio"], timed["memory_ratio"], *gains, low["latency_ratio"]))
    return found


def _case(forms: list[Form], kept: list[int]) -> Form:
    """The form of fewest states whose models keep the accuracy, at least on average; of most, where none does."""
    return next((form for form in forms if form.order in kept), forms[-1])


def _outcome(e: Evidence, task: str, accuracy: float) -> Outcome:
    rows = frames.where(e.against_small, task=task, variant=FITTED).sort_values("order")
    return Outcome(task, accuracy, gains=[gain(FITTED, row) for _, row in rows.iterrows()])


def gain(what: str, row: pd.Series) -> Gain:
    """A row with a difference and its interval, as the text has it."""
    return Gain(what, int(row["order"]), *row[["difference", "difference_low", "difference_high"]])


@naming_files
def _harms(e: Evidence) -> list[Harm]:
    kind = ["task", "variant", "order"]
    made = e.students[~e.students["variant"].isin((ORIGINAL, SCRATCH))]
    before, after = (made[made["healed"] == healed].set_index([*kind, "seed"])["accuracy"] for healed in (False, True))
    worse = after[after < before.loc[after.index] - accuracy.POINT]
    return [Harm(*key, len(group)) for key, group in worse.groupby(kind, sort=False)]
