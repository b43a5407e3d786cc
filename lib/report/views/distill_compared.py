"""Evidence on kernels that the original report names, trained: what every method keeps of them, at which time."""

from collections.abc import Sequence
from functools import cached_property

import pandas as pd

from lib.experiments import distill_compared as compared
from lib.experiments.distill_compared_runs import ORIGINAL
from lib.names import DISTILLATIONS
from lib.report import accuracy, frames
from lib.report.frames.paired import paired, separated
from lib.report.views.base import Base, known, named

WITHIN = ("machine", "task", "bank")
KINDS = ("variant", "order", "healed")
LOW_RANK = DISTILLATIONS["truncated_svd"].label  # its order is a rank, and no number of states
STATES = DISTILLATIONS["balanced_truncation"].label  # whose time is that of all that keep as many states
MULTIPLES = (2, 4)  # of the task's length: taps over which kernels are judged, too


class Views(Base):
    """Frames of the records on compared distillations, by name; methods and banks by their labels."""

    @cached_property
    def bank_tasks(self) -> list[str]:
        """Tasks that are recorded.

        raises   Missing where none is
        """
        return self.recorded(compared, compared.TASKS)

    @property
    def bank_lacking(self) -> list[str]:
        """What readers call the tasks that are not recorded."""
        return [compared.DATA[task] for task in compared.TASKS if task not in self.bank_tasks]

    @cached_property
    def bank_seeds(self) -> pd.DataFrame:
        """What was trained or made, a row per seed.

        Columns task, bank, variant, order, healed, states (the original's), stored, rate, steps, seed, accuracy, loss
        [nats], relative_error. What diverged has no row.
        """
        rows = compared.accuracies(self._bank_records)
        rows = known(frames.where(known(rows), part=compared.MADE), "accuracy", each={"variant": (ORIGINAL,)})
        return known(rows, each={"task": [compared.DATA[task] for task in self.bank_tasks]})

    @cached_property
    def bank_quality(self) -> pd.DataFrame:
        """Everything against its original, see `paired`, with `states` of the original and `word` after Holm.

        A family is one method on one bank of one task, before or after fine-tuning: its orders.
        """
        rows = self.bank_seeds
        made, whole = rows[rows["variant"] != ORIGINAL], rows[rows["variant"] == ORIGINAL]
        found = known(paired(made, whole, KINDS, "accuracy", WITHIN))
        sizes = made.drop_duplicates([*WITHIN, *KINDS])[[*WITHIN, *KINDS, "states", "stored"]]
        return separated(found.merge(sizes), [*WITHIN, "variant", "healed"])

    @cached_property
    def bank_originals(self) -> pd.DataFrame:
        """Accuracies of originals, a row per seed."""
        return frames.where(self.bank_seeds, variant=ORIGINAL)

    @cached_property
    def against_tuned(self) -> pd.DataFrame:
        """Everything that was made of an original, against the tuned small model of its order; `word` after Holm."""
        rows = self.bank_seeds
        small = rows[rows["variant"] == compared.SCRATCH]
        made = rows[~rows["variant"].isin((ORIGINAL, compared.SCRATCH, compared.IN_TRAINING))]
        found = known(paired(made, small, ("variant", "healed"), "accuracy", [*WITHIN, "order"]))
        return separated(found, [*WITHIN, "variant", "healed"])

    @cached_property
    def kept_with_states(self) -> pd.DataFrame:
        """Of `bank_quality` what may meet the bar on few states: fine-tuned, or compressed in training.

        Low ranks are none: their order counts basis kernels.
        """
        rows = self.bank_quality
        made = rows["healed"].astype(bool) & (rows["variant"] != LOW_RANK)
        return known(rows[made | (rows["variant"] == compared.IN_TRAINING)])

    @cached_property
    def bank_lengths(self) -> pd.DataFrame:
        """Mean accuracy at other lengths than were trained on: task, bank, variant, order, healed, length, accuracy.

        Of tasks that have such, a row per case; no row where none of them is recorded.
        """
        if not (self._bank_cases["part"] == compared.LENGTHS).any():
            return pd.DataFrame(columns=[*WITHIN, *KINDS, "length", "accuracy"])
        return self._bank_means(compared.LENGTHS, "length", "accuracy")

    @cached_property
    def bank_taps(self) -> pd.DataFrame:
        """Mean relative error of kernels over more taps than methods look at; `multiple` of the task's length."""
        rows = self._bank_means(compared.TAPS, "taps", "relative_error")
        least = rows.groupby("task")["taps"].transform("min")
        return rows.assign(multiple=(MULTIPLES[0] * rows["taps"] / least).astype(int))

    @cached_property
    def bank_times(self) -> pd.DataFrame:
        """Forward passes of the same models, with ratios to their originals: task, bank, variant, order."""
        rows = known(frames.where(self._bank_cases, part=compared.FORWARD), "seconds")
        return known(frames.ratios(rows, ORIGINAL, WITHIN), "latency_ratio")

    @cached_property
    def bank_minutes(self) -> float:
        """What all trainings took, each on one thread."""
        rows = self._bank_cases
        timed = rows[rows["part"].isin((compared.TRIALS, compared.MADE)) & rows["error"].isna()]
        return accuracy.training_minutes(known(timed, "seconds"))

    @cached_property
    def bank_protocol(self) -> str:
        """How rates were chosen, in the words of the record."""
        return str(self._bank_records[0].parameters["protocol"])

    @property
    def bank_sources(self) -> str:
        """Machine, day and commit of these records, for a caption."""
        return self.sources(*named(compared, self.bank_tasks))

    @property
    def _bank_records(self) -> Sequence:
        return self.records(*named(compared, self.bank_tasks))

    @cached_property
    def _bank_cases(self) -> pd.DataFrame:
        return self.frame(compared, *self.bank_tasks)

    def _bank_means(self, part: str, size: str, measure: str) -> pd.DataFrame:
        rows = known(frames.where(compared.accuracies(self._bank_records), part=part), measure)
        keys = [*WITHIN, *KINDS, size]
        return rows.groupby(keys, sort=False, dropna=False)[measure].mean().reset_index()
