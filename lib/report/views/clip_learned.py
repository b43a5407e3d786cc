"""Evidence on token reductions of which some numbers are learned."""

from functools import cached_property

import pandas as pd

from lib.experiments import clip_learned
from lib.experiments.clip_learned_runs import TOKEN
from lib.experiments.clip_variants import NORM, UNREDUCED
from lib.names import SMALL_CLIPS
from lib.report import frames
from lib.report.frames.clip_learned import gains
from lib.report.views.base import Base, known, named


class Views(Base):
    """Frames of the records of learned reductions, by name."""

    @cached_property
    def learned_tasks(self) -> list[str]:
        """Tasks that are recorded.

        raises   Missing where none is
        """
        return self.recorded(clip_learned, clip_learned.TASKS)

    @property
    def learned_lacking(self) -> list[str]:
        """What readers call the tasks that are not recorded."""
        return [SMALL_CLIPS[task] for task in clip_learned.TASKS if task not in self.learned_tasks]

    @cached_property
    def learned(self) -> pd.DataFrame:
        """Accuracies of learned reductions and their controls, a row per checkpoint; tasks as readers see them."""
        rows = frames.where(self.frame(clip_learned, *self.learned_tasks), part=clip_learned.JUDGED)
        rows = known(rows, "accuracy", each={"variant": (UNREDUCED,)})
        return rows.assign(task=rows["task"].map(SMALL_CLIPS))

    @cached_property
    def learned_gains(self) -> pd.DataFrame:
        """What each gains over its controls, paired, by task and share kept."""
        return gains(self.learned)

    @property
    def learned_token_gains(self) -> pd.DataFrame:
        """Those of a learned summary token over no token."""
        return frames.where(self.learned_gains, variant=TOKEN, against=NORM)

    @cached_property
    def learned_times(self) -> pd.DataFrame:
        """A batch through each tower, relative to the unreduced one, by task."""
        rows = known(clip_learned.times(self.records(*named(clip_learned, self.learned_tasks))))
        return known(frames.ratios(rows, UNREDUCED, ("machine", "task")), "latency_ratio")

    @property
    def learned_sources(self) -> str:
        """Machine, day and commit of the records, for a caption."""
        return self.sources(*named(clip_learned, self.learned_tasks))
