"""Evidence on token reductions of a pretrained vision transformer."""

from functools import cached_property

import pandas as pd

from lib.experiments import clip_saliency
from lib.experiments.clip_saliency_runs import GAUSSIAN
from lib.experiments.clip_variants import ROUNDS, TOME, UNREDUCED
from lib.report.frames.clip_saliency import means
from lib.report.views.base import Base, known


class Views(Base):
    """Frames of the record of the pretrained vision transformer, by name."""

    @cached_property
    def saliency(self) -> pd.DataFrame:
        """Maps and answers of every reduction, a row per case."""
        return known(
            self.frame(clip_saliency, *clip_saliency.TASKS), each={"variant": (UNREDUCED, ROUNDS, TOME, GAUSSIAN)}
        )

    @cached_property
    def saliency_means(self) -> pd.DataFrame:
        """Mean correlation and points lost by method and share of the operations, with intervals."""
        return means(self.saliency)

    @property
    def saliency_targets(self) -> list[float]:
        """Shares of the operations at which methods are compared, the largest first."""
        return sorted(self.saliency.loc[self.saliency["variant"] == ROUNDS, "target"].unique(), reverse=True)
