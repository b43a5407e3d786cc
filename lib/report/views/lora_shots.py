"""Evidence on adapters that learn from few images per class."""

from functools import cached_property

import pandas as pd

from lib.experiments import lora_shots
from lib.names import SMALL_CLIPS
from lib.report import frames
from lib.report.frames.lora_shots import means
from lib.report.views.base import Base, known, named


class Views(Base):
    """Frames of the records of few images per class, by name."""

    @cached_property
    def shot_tasks(self) -> list[str]:
        """Tasks that are recorded.

        raises   Missing where none is
        """
        return self.recorded(lora_shots, lora_shots.TASKS)

    @property
    def shot_lacking(self) -> list[str]:
        """What readers call the tasks that are not recorded."""
        return [SMALL_CLIPS[task] for task in lora_shots.TASKS if task not in self.shot_tasks]

    @cached_property
    def shots(self) -> pd.DataFrame:
        """Trainings that test images judged, a row each."""
        rows = known(lora_shots.outcomes(self.records(*named(lora_shots, self.shot_tasks))), "accuracy")
        for task in self.shot_tasks:
            known(frames.where(rows, task=task), each={"variant": lora_shots.LABELS.values()})
        return rows

    @cached_property
    def shot_means(self) -> pd.DataFrame:
        """Mean accuracy by task, variant, images per class, and whether the rate is its own, with intervals."""
        return means(self.shots)

    @property
    def shot_sources(self) -> str:
        """Machine, day and commit of the records, for a caption."""
        return self.sources(*named(lora_shots, self.shot_tasks))
