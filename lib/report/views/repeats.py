"""Evidence on how far a second run differs: ratios of costs and accuracies of trainings that were made again."""

from functools import cached_property

import pandas as pd

from lib.experiments import repeats
from lib.report.views.base import Base, known


class Views(Base):
    """Frames of the record on repeats, by name."""

    @cached_property
    def repeated(self) -> pd.DataFrame:
        """Values that were found again, first and second, with their difference."""
        return known(self.frame(repeats), "difference")

    @cached_property
    def repeated_costs(self) -> pd.DataFrame:
        """Latency ratios, a row for each record: how many, the median size of a difference, and the largest one.

        `differences` are shares of the first ratio; first, second, variant and setting are those of the largest.
        """
        rows = known(self.repeated[self.repeated["part"] == repeats.COST])
        by_record = rows["difference"].abs().groupby(rows["of"], sort=False)
        largest = rows.loc[by_record.idxmax()].set_index("of", drop=False)
        return largest.assign(ratios=by_record.size(), median=by_record.median())

    @cached_property
    def repeated_trainings(self) -> pd.DataFrame:
        """Accuracies of trainings that were made again from their seed."""
        return known(self.repeated[self.repeated["part"] == repeats.TRAINING])
