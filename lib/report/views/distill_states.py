"""Evidence on fewer states in a trained Mamba: what criteria keep, what small models reach, what fewer states cost."""

from collections.abc import Mapping, Sequence
from functools import cached_property

import pandas as pd

from lib import names
from lib.experiments import distill_states as states
from lib.experiments.distill_state_runs import CONTINUED
from lib.report import accuracy, frames
from lib.report.frames.distill_rules import Recall, recall
from lib.report.frames.paired import paired, separated
from lib.report.frames.scan_floor import floors
from lib.report.views.base import Base, complete, known, named

WITHIN = ("machine", "task")
KINDS = ("variant", "order", "healed")
CRITERIA = tuple(row.label for row in names.STATE_CHOICES.values())
TRAINED_ON, SMALL = (states.LABELS[name] for name in (CONTINUED, states.SCRATCH))
RECALL = tuple(names.BENCHMARKS[task].label for task in states.TASKS if names.BENCHMARKS[task].solved is not None)
COSTS = (states.SCAN, states.SCAN_TRAINING, states.FORWARD, states.TRAINING, states.STREAMED)
SIZE = ("machine", "part", "dim", "length")  # what a number of states and all of them have in common


class Views(Base):
    """Frames of the records on fewer states, by name; criteria by their labels. `order` counts states that are kept."""

    @cached_property
    def state_tasks(self) -> list[str]:
        """Tasks that are recorded.

        raises   Missing where none is
        """
        return self.recorded(states, states.TASKS)

    @property
    def state_lacking(self) -> list[str]:
        """What readers call the tasks that are not recorded."""
        return [states.WORDS["task"][task] for task in states.TASKS if task not in self.state_tasks]

    @cached_property
    def state_seeds(self) -> pd.DataFrame:
        """Every model, a row per seed: task, variant, order, healed, rate, steps, seed, accuracy, test_loss [nats]."""
        rows = states.accuracies(self.records(*named(states, self.state_tasks)))
        rows = frames.where(known(rows), part=states.TRAINED).rename(columns={"states": "order"})
        every = {
            "task": [states.WORDS["task"][task] for task in self.state_tasks],
            "variant": (states.ORIGINAL, TRAINED_ON, SMALL),
        }
        return complete(known(rows, "accuracy", "test_loss", each=every), list(KINDS), "task")

    @cached_property
    def states_whole(self) -> int:
        """N of the originals."""
        return int(frames.where(self.state_seeds, variant=states.ORIGINAL)["order"].iloc[0])

    @cached_property
    def state_quality(self) -> pd.DataFrame:
        """Accuracies against the original, see `paired`; `word` after Holm over the numbers of states."""
        return self._against(states.ORIGINAL, "accuracy")

    @cached_property
    def state_quality_equal(self) -> pd.DataFrame:
        """The same against the original that was trained on: equal steps for all that is fine-tuned or small."""
        return self._against(TRAINED_ON, "accuracy")

    @cached_property
    def state_losses(self) -> pd.DataFrame:
        """Test losses [nats] against the original trained on, likewise."""
        return self._against(TRAINED_ON, "test_loss")

    @cached_property
    def states_against_small(self) -> pd.DataFrame:
        """Reductions after fine-tuning, against as small a model from the start; `word` after Holm."""
        rows = self.state_seeds
        small = frames.where(rows, variant=SMALL)
        made = frames.where(rows[rows["variant"].isin(CRITERIA)], healed=True)
        found = known(paired(made, small, ["variant"], "accuracy", [*WITHIN, "order"]))
        return separated(found, [*WITHIN, "variant"])

    @cached_property
    def recalls(self) -> list[Recall]:
        """The bar on recall, a judgement per recall task."""
        rows = self.state_quality_equal
        tasks = [task for task in RECALL if task in set(rows["task"])]
        at = (self.states_whole, SMALL, CRITERIA, len(tasks))
        return [recall(rows, task, *at) for task in tasks]

    @cached_property
    def state_costs(self) -> pd.DataFrame:
        """Costs by number of states, with ratios to all states at the same size, and of the state's bytes.

        Columns part (of COSTS), dim, length, states, latency_ratio with _low and _high, state_ratio, floor: what the
        scan's time cannot be below, as the same ratio; NaN of other parts and on a GPU.
        """
        (first, *_) = named(states, self.state_tasks)
        rows = self.frame(states, self.state_tasks[0])
        rows = known(rows[rows["part"].isin(COSTS)], "seconds", each={"part": COSTS})
        whole = int(rows["states"].max())
        found = frames.ratios(complete(rows, "states", ["part", "dim"]), states.NUMBER.format(whole), SIZE)
        bytes_of_all = found.groupby(list(SIZE))["state_bytes"].transform("max")
        device = str(self.records(first)[0].parameters["device"])
        floor = floors(found["part"], found["states"], whole, device)
        return known(found.assign(state_ratio=found["state_bytes"] / bytes_of_all, floor=floor), "latency_ratio")

    @cached_property
    def state_protocol(self) -> Mapping[str, object]:
        """Sizes and schedule of the first task's record."""
        return self.records(*named(states, self.state_tasks))[0].parameters

    @cached_property
    def state_minutes(self) -> float:
        """What all trainings took, each on one thread."""
        rows = self.frame(states, *self.state_tasks)
        rows = rows[rows["part"].isin((states.SCREENED, states.TRAINED)) & rows["error"].isna()]
        return accuracy.training_minutes(known(rows, "seconds"))

    @property
    def state_sources(self) -> str:
        """Machine, day and commit of these records, for a caption."""
        return self.sources(*named(states, self.state_tasks))

    def _against(self, base: str, measure: str) -> pd.DataFrame:
        rows = self.state_seeds
        beside = rows["variant"] == base
        found = known(paired(rows[~beside], rows[beside], KINDS, measure, WITHIN))
        return separated(found, [*WITHIN, "variant", "healed"])


def at_quarter(rows: pd.DataFrame, task: str, order: int, healed: bool, criteria: Sequence[str] = CRITERIA):
    """Of `Views.state_seeds` the reductions of a task to so many states, before or after fine-tuning."""
    return frames.where(rows[rows["variant"].isin(criteria)], task=task, order=order, healed=healed)
