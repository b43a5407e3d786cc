"""Evidence on kernel distillation: what banks of kernels lose, what their forms cost, what trained models keep."""

from collections.abc import Mapping
from functools import cached_property

import pandas as pd

from lib.experiments import distill_banks, distill_cost, distill_training
from lib.experiments.distill_models import few_states
from lib.records import Scalar
from lib.report import accuracy, frames
from lib.report.frames import Missing
from lib.report.views.base import Base, complete, known, named
from lib.report.views.distill_forms import forms_of_one

WITHIN = ("machine", "length")
KINDS = ("variant", "order", "healed")  # what makes a student, beside its seed
LOW_RANK = 0.25  # of the full rank is a low one: beyond, the factors of a square bank save less than half
LOW = distill_cost.LOW.partition("{")[0]  # how variants of low rank begin
SMALL = distill_cost.SMALL.partition("{")[0]  # how recurrences begin
DENSE = distill_banks.DENSE.partition("{")[0]  # how names of dense banks begin


class Views(Base):
    """Frames of the records on kernel distillation, by name."""

    @cached_property
    def kernel_source(self) -> str:
        """Where losses and costs come from, for a caption."""
        return self.sources(distill_cost.NAME)

    @cached_property
    def distill_sizes(self) -> Mapping[str, Scalar]:
        """Parameters of the costs' record: dim, states, length, longest, order."""
        return self.records(distill_cost.NAME)[0].parameters

    @cached_property
    def few(self) -> tuple[int, int]:
        """An eighth and a sixteenth of the states of what was timed."""
        return few_states(self.distill_sizes["states"])

    @cached_property
    def kernel_errors(self) -> pd.DataFrame:
        """What every depthwise bank loses: columns bank, variant (a method), order, relative_error."""
        return self._errors(distill_cost.BANK)

    @cached_property
    def errors_beyond(self) -> pd.DataFrame:
        """The same over more taps than methods look at, so many `taps`, by both kinds of balanced truncation."""
        return self._errors(distill_cost.HORIZON)

    @cached_property
    def ranks(self) -> pd.DataFrame:
        """The rank that every bank needs for an error of one percent: bank, trained, dense, needed, full, low."""
        rows = frames.where(self._kernels_recorded, part=distill_cost.RANK)
        rows = known(rows, "order", "full", each={"variant": distill_banks.MODELS})
        dense = rows["variant"].str.startswith(DENSE)
        if not dense.any():
            raise Missing("no dense bank of kernels is recorded")
        return pd.DataFrame(
            {
                "bank": rows["variant"],
                "trained": rows["variant"].isin(distill_banks.MODELS),
                "dense": dense,
                "needed": rows["order"].astype(int),
                "full": rows["full"].astype(int),
                "low": rows["order"] / rows["full"] <= LOW_RANK,
            }
        )

    @cached_property
    def low_rank_models(self) -> pd.DataFrame:
        """Trained models whole and at a low rank, without fine-tuning: bank, order, tested, whole, low (accuracies)."""
        rows = distill_cost.accuracies(self.records(distill_cost.NAME))
        rows = known(rows, each={"bank": distill_banks.MODELS})
        keys = ["bank", "order", "tested"]
        wide = rows.assign(form=["whole" if one == distill_cost.FULL else "low" for one in rows["variant"]])
        wide = wide.pivot(index=keys, columns="form", values="accuracy").reset_index()
        return known(wide, "whole", "low")

    @cached_property
    def low_rank_storage(self) -> Mapping[str, float]:
        """ "claimed" and "counted": numbers stored at a quarter of the rank, relative to those of the bank.

        Both in the layout of the original report, taps by pairs of channels.
        """
        length, square = self.distill_sizes["length"], self.distill_sizes["dim"] ** 2
        rank = max(distill_cost.ranks(self.distill_sizes["dim"]))
        return {"claimed": rank / length, "counted": rank * (length + square) / (length * square)}

    @cached_property
    def kernels(self) -> pd.DataFrame:
        """Whole sequences by every form of the kernels, with ratios to the full ones by a cached spectrum."""
        return self._timed(distill_cost.SEQUENCE)

    @cached_property
    def kernel_tokens(self) -> pd.DataFrame:
        """Single tokens by every form that streams, with ratios to the step of the recurrence of all states."""
        return stepped(known(self._kernels_recorded), self.distill_sizes["states"])

    @cached_property
    def distilled_models(self) -> pd.DataFrame:
        """The trained model as it is deployed, with ratios to it with full kernels."""
        return self._timed(distill_cost.MODEL)

    @cached_property
    def one_model(self) -> pd.DataFrame:
        """The model of the digits in every form that was timed, beside what models of that form keep.

        Columns made (how), order, latency_ratio with _low and _high, memory_ratio; of the models, five seeds of the
        same sizes: difference to the original with _low and _high, as shares. A model that is small from the start has
        the time of one that was distilled to as many states.
        """
        return known(forms_of_one(self.distilled_models, self.student_quality), "latency_ratio", "memory_ratio")

    @cached_property
    def kernel_taps(self) -> int:
        """The length that texts look at, an eighth of the longest."""
        return taps_shown(self.distill_sizes, self.kernels)

    @cached_property
    def low_rank(self) -> pd.DataFrame:
        """Convolutions of low rank, with ratios to that with full kernels and a cached spectrum."""
        return known(self.kernels[self.kernels["variant"].str.startswith(LOW)], "latency_ratio")

    @cached_property
    def students(self) -> pd.DataFrame:
        """Accuracies of originals and of everything that was made of them, a row per seed.

        Columns task, variant (a method by its label, "original", the control), order, healed, stored, seed, accuracy.
        """
        rows = distill_training.accuracies(self.records(*named(distill_training, distill_training.TASKS)))
        each = {"task": distill_training.DATA.values(), "variant": (distill_training.ORIGINAL,)}
        return known(complete(rows, ["variant", "order", "healed"], "task"), "accuracy", each=each)

    @cached_property
    def few_trained(self) -> tuple[int, int]:
        """An eighth and a sixteenth of the originals' states."""
        return few_states(int(self.students["states"].iloc[0]))

    @cached_property
    def student_minutes(self) -> float:
        """What all trainings took, each on one thread."""
        return accuracy.training_minutes(known(self.frame(distill_training, *distill_training.TASKS), "seconds"))

    @cached_property
    def student_quality(self) -> pd.DataFrame:
        """Students against their originals: accuracy and difference with intervals, and a verdict."""
        return quality(self.students)

    @cached_property
    def student_sources(self) -> str:
        """Where accuracies come from, for a caption."""
        return self.sources(*named(distill_training, distill_training.TASKS))

    @cached_property
    def distilled(self) -> pd.DataFrame:
        """Students before any fine-tuning, against their originals; methods in their order."""
        rows = by_method(self.student_quality)
        return known(rows[~rows["healed"] & (rows["variant"] != distill_training.SCRATCH)])

    @cached_property
    def fine_tuned(self) -> pd.DataFrame:
        """Students after distillation fine-tuning, and models small from the start, against originals."""
        return after_fine_tuning(self.student_quality)

    @cached_property
    def against_small(self) -> pd.DataFrame:
        """Students after distillation fine-tuning, against equally small ones from the start."""
        rows = self.students[self.students["variant"] != distill_training.ORIGINAL]
        found = [
            accuracy.compared(group, distill_training.SCRATCH, KINDS) for _, group in rows.groupby("order", sort=True)
        ]
        rows = by_method(pd.concat(found))
        return known(rows[rows["healed"]])

    def _errors(self, part: str) -> pd.DataFrame:
        rows = known(distill_cost.errors(self.records(distill_cost.NAME)))
        return by_method(known(frames.where(rows, part=part), "relative_error", each={"bank": distill_banks.MODELS}))

    @cached_property
    def _kernels_recorded(self) -> pd.DataFrame:
        return self.frame(distill_cost)

    def _timed(self, part: str) -> pd.DataFrame:
        return timed(known(self._kernels_recorded), part)


def timed(cases: pd.DataFrame, part: str, baseline: str = distill_cost.FULL) -> pd.DataFrame:
    """Cases of one part, with ratios to the full kernels, or to another baseline.

    raises   Missing where there are none
    """
    return frames.ratios(known(frames.where(cases, part=part)), baseline, WITHIN)


def stepped(cases: pd.DataFrame, states: int) -> pd.DataFrame:
    """Single tokens, with ratios to the recurrence of all states.

    Every layer of a state space model has that recurrence, whatever its kernel: it is by which it would stream. The
    convolution's step looks back at all taps, so that a ratio to it grows with the length of the kernel.

    cases    of any number of machines; one that did not time a recurrence of so many states is left out
    raises   Missing where none did
    """
    whole = distill_cost.SMALL.format(states)
    tokens = frames.where(cases, part=distill_cost.TOKENS)
    known(tokens, each={"variant": (whole,)})
    machines = tokens.loc[tokens["variant"] == whole, "machine"]
    return timed(tokens[tokens["machine"].isin(machines)], distill_cost.TOKENS, whole)


def quality(students: pd.DataFrame) -> pd.DataFrame:
    """Students against their originals, see `Views.student_quality`; a row per seed goes in."""
    return accuracy.judged(accuracy.compared(students, distill_training.ORIGINAL, KINDS))


def after_fine_tuning(compared: pd.DataFrame) -> pd.DataFrame:
    """Of `quality`, students after distillation fine-tuning, and the control; methods in their order."""
    rows = by_method(compared)
    return known(rows[rows["healed"] | (rows["variant"] == distill_training.SCRATCH)])


def taps_shown(sizes: Mapping[str, Scalar], sequences: pd.DataFrame) -> int:
    """The shortest length timed that is at least an eighth of the longest."""
    return int(min(length for length in sequences["length"] if length >= sizes["longest"] // 8))


def states_shown(models: pd.DataFrame) -> int:
    """An eighth of the trained model's states: of as many, the most that it was timed with."""
    found = {distill_cost.states_of(name) for name in models["variant"] if name.startswith(SMALL)}
    few = few_states(max(found))[0]
    return few if few in found else min(found)


def by_method(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of methods and of the control, in the order of their table."""
    order = list(distill_training.LABELS.values())
    rows = rows[rows["variant"].isin(order)]
    return rows.sort_values("variant", key=lambda labels: labels.map(order.index), kind="stable")
