"""Evidence on state space models: token mixing over its sizes, the gate, and the scan against its peers."""

from collections.abc import Mapping
from functools import cached_property

import pandas as pd

from lib.experiments import ssm_scaling
from lib.report import frames
from lib.report.views.base import Base, known


class Views(Base):
    """Frames of the records on state space models, and toys, by name."""

    @property
    def superposition(self) -> Mapping[str, float]:
        """ "fixed" and "selective" -> how far the scan of a sum is from the sum of scans; a toy."""
        return self.toy("superposition")

    @cached_property
    def mixing(self) -> pd.DataFrame:
        """Cases of token mixing: parts lengths, gate, widths and states."""
        return self.frame(ssm_scaling)

    @cached_property
    def mixing_growth(self) -> pd.DataFrame:
        """Slopes of latency over the four longest lengths: attention, S4D, and the fastest scan at the longest."""
        rows = known(frames.where(self.mixing, part=ssm_scaling.LENGTHS))
        scans = rows[(rows["length"] == rows["length"].max()) & rows["variant"].str.startswith("scan")]
        fastest = known(scans, "seconds").sort_values("seconds")["variant"].iloc[0]
        compared = ("attention", "S4D", fastest)
        rows = frames.slopes(rows[rows["variant"].isin(compared)], last=4)
        return known(rows, "slope", "low", "high", each={"variant": compared})

    @cached_property
    def gate(self) -> pd.DataFrame:
        """The scan with its gate open and closed, with ratios to the open one."""
        rows = known(frames.where(self.mixing, part=ssm_scaling.GATE))
        rows = frames.ratios(rows, baseline=ssm_scaling.OPEN)
        return known(rows, "latency_ratio", "flops_ratio", each={"variant": (ssm_scaling.OPEN, ssm_scaling.CLOSED)})

    @cached_property
    def mixing_operations(self) -> Mapping[str, float]:
        """Exponents of operations in a size, over its three largest: "scan over D", "block over D", "scan over N"."""
        sizes = {
            "scan over D": ("scan", ssm_scaling.WIDTHS, "dim"),
            "block over D": ("block", ssm_scaling.WIDTHS, "dim"),
            "scan over N": ("scan", ssm_scaling.STATES, "states"),
        }
        return {name: self._exponent(*where) for name, where in sizes.items()}

    def _exponent(self, variant: str, part: str, over: str) -> float:
        rows = known(frames.where(self.mixing, part=part, variant=variant), "flops")
        return frames.slopes(rows, "flops", over, last=3)["slope"].iloc[0]
