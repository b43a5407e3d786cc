"""Evidence on state space models that see."""

from functools import cached_property

import pandas as pd

from lib.experiments import ssm_vlm_scaling
from lib.experiments.ssm_vlm_scaling import FORWARD, TRAINING, TRANSFORMER
from lib.report import frames
from lib.report.frames.ssm_vlm import crossings
from lib.report.views.base import Base, known

WITHIN = ("machine", "part", "patches")
LAST = 3  # sizes of a slope: the largest, where what a call costs by itself matters least


class Views(Base):
    """Frames of the records on towers of state space blocks, by name."""

    @cached_property
    def growing(self) -> pd.DataFrame:
        """Every tower on every size of image, forward and in training, with ratios to the transformer."""
        return relative(known(self.frame(ssm_vlm_scaling)))

    @cached_property
    def growing_forward(self) -> pd.DataFrame:
        """The forward passes among them."""
        return known(frames.where(self.growing, part=FORWARD), "seconds", "latency_ratio", each={"part": (FORWARD,)})

    @cached_property
    def growing_training(self) -> pd.DataFrame:
        """The training steps among them."""
        return known(frames.where(self.growing, part=TRAINING), "seconds", "latency_ratio")

    @cached_property
    def growing_crossings(self) -> pd.DataFrame:
        """Patches from which on each tower is faster than the transformer, by part."""
        rows = crossings(self.growing, TRANSFORMER)
        return known(rows[rows["variant"] != TRANSFORMER])

    @cached_property
    def growing_seconds(self) -> pd.DataFrame:
        """Slopes of each tower's latency over its largest images, forward."""
        return self._slopes("seconds")

    @cached_property
    def growing_memory(self) -> pd.DataFrame:
        """Slopes of each tower's memory over its largest images, forward."""
        return self._slopes("memory_bytes")

    @cached_property
    def growing_operations(self) -> pd.DataFrame:
        """Slopes of each tower's operations over its largest images, forward."""
        return self._slopes("flops")

    def _slopes(self, cost: str) -> pd.DataFrame:
        """Without intervals: three sizes leave one degree of freedom, whose intervals say nothing."""
        rows = frames.slopes(self.growing_forward, cost, "patches", last=LAST)
        return known(rows.drop(columns=["low", "high"]), "slope")


def relative(rows: pd.DataFrame) -> pd.DataFrame:
    """Cases with ratios to the transformer of the same image, of any number of machines."""
    return frames.ratios(rows, TRANSFORMER, WITHIN)
