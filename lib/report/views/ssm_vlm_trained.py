"""Evidence on towers of state space blocks that were trained, and on Vision Mamba with fewer patches."""

from functools import cached_property

import pandas as pd

from lib.experiments import ssm_vlm_training
from lib.experiments.ssm_vlm_runs import WHOLE
from lib.experiments.ssm_vlm_scaling import TRANSFORMER
from lib.experiments.ssm_vlm_training import FEWER, STEP, TASKS, TIMED
from lib.names import SMALL_CLIPS
from lib.report import accuracy, frames
from lib.report.views.base import Base, known, named

KINDS = ("variant", "keep", "tuned")


class Views(Base):
    """Frames of the records of trained towers, by name."""

    @cached_property
    def tower_tasks(self) -> list[str]:
        """Tasks that are recorded.

        raises   Missing where none is
        """
        return self.recorded(ssm_vlm_training, TASKS)

    @property
    def tower_lacking(self) -> list[str]:
        """What readers call the tasks that are not recorded."""
        return [SMALL_CLIPS[task] for task in TASKS if task not in self.tower_tasks]

    @cached_property
    def tower_trained(self) -> pd.DataFrame:
        """Accuracy of every tower by budget, and its difference to the transformer's, with intervals and a verdict."""
        rows = self._towers(ssm_vlm_training.TRAINED)
        return accuracy.judged(accuracy.compared(rows, TRANSFORMER).merge(_steps(rows), how="left"))

    @cached_property
    def tower_steps(self) -> pd.DataFrame:
        """Training steps of every tower, with ratios to the transformer's."""
        rows = frames.where(known(self.frame(ssm_vlm_training, *self.tower_tasks)), part=STEP)
        return known(frames.ratios(rows, TRANSFORMER, ("machine", "task")), "latency_ratio")

    @cached_property
    def tower_fewer(self) -> pd.DataFrame:
        """Accuracy of Vision Mamba with fewer patches, and its difference to that with all, equally trained on."""
        rows, found = self._towers(FEWER), []
        for _, group in rows.assign(trained_on=rows["tuned"] > 0).groupby("trained_on"):
            found.append(accuracy.compared(group, WHOLE, KINDS))
        return pd.concat(found, ignore_index=True)

    @cached_property
    def tower_times(self) -> pd.DataFrame:
        """Vision Mamba's forward pass by patches and share, with ratios to that of all patches."""
        rows = frames.where(known(self.frame(ssm_vlm_training, *self.tower_tasks)), part=TIMED)
        found = frames.ratios(rows, WHOLE, ("machine", "task", "patches"))
        return known(found, "latency_ratio")

    def tower_pairs(self, task: str) -> pd.DataFrame:
        """Accuracies with fewer patches of one task, a row per seed."""
        return frames.where(self._towers(FEWER), task=task)

    @property
    def tower_sources(self) -> str:
        """Machine, day and commit of the records, for a caption."""
        return self.sources(*named(ssm_vlm_training, self.tower_tasks))

    def _towers(self, part: str) -> pd.DataFrame:
        found = self.records(*named(ssm_vlm_training, self.tower_tasks))
        return known(ssm_vlm_training.outcomes(found, part), "accuracy")


def _steps(rows: pd.DataFrame) -> pd.DataFrame:
    """Steps and rate of every tower by budget."""
    return rows.drop_duplicates(["task", "variant", "budget"])[["task", "variant", "budget", "steps", "rate"]]
