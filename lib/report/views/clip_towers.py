"""Evidence on token reduction of other towers than CLIP's."""

from functools import cached_property

import pandas as pd

from lib.experiments import clip_towers
from lib.experiments.clip_variants import UNREDUCED
from lib.report import frames
from lib.report.views.base import Base, known


class Views(Base):
    """Frames of the record of towers, by name."""

    @cached_property
    def towers(self) -> pd.DataFrame:
        """Every tower whole and at half of its tokens, with ratios to the whole one."""
        rows = known(self.frame(clip_towers), each={"variant": (UNREDUCED,)})
        return known(frames.ratios(rows, UNREDUCED, ("machine", "tower")), "latency_ratio")
