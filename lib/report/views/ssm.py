"""Evidence on state space models: token mixing over its sizes, the gate, and the scan against its peers."""

from collections.abc import Mapping
from functools import cached_property

import pandas as pd

from lib import names
from lib.experiments import ssm_scaling, ssm_scan
from lib.report import frames
from lib.report.views.base import Base, known

LAST = 4  # lengths of a slope: the longest, where fixed costs matter least
ATTENTION, S4D, DEFINITION = "attention", "S4D", "scan, ref"


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
    def mixing_lengths(self) -> pd.DataFrame:
        """Cases of token mixing by length."""
        return known(frames.where(self.mixing, part=ssm_scaling.LENGTHS))

    @cached_property
    def mixing_seconds(self) -> pd.DataFrame:
        """Slopes of every mixer's latency over the longest lengths."""
        return known(frames.slopes(self.mixing_lengths, "seconds", last=LAST), "slope", "low", "high")

    @cached_property
    def mixing_memory(self) -> pd.DataFrame:
        """Slopes of every mixer's memory over the longest lengths."""
        return known(frames.slopes(self.mixing_lengths, "memory_bytes", last=LAST), "slope", "low", "high")

    @cached_property
    def mixing_longest(self) -> pd.DataFrame:
        """Cases of token mixing at the longest length, by variant."""
        rows = self.mixing_lengths
        return rows[rows["length"] == rows["length"].max()].set_index("variant", drop=False)

    @cached_property
    def fastest_scan(self) -> str:
        """Variant of the scan that takes the least time at the longest length."""
        return fastest(self.mixing_longest)["variant"].iloc[0]

    @cached_property
    def mixing_growth(self) -> pd.DataFrame:
        """Slopes of latency over the longest lengths: attention, S4D, and the fastest scan at the longest."""
        compared = (ATTENTION, S4D, self.fastest_scan)
        rows = self.mixing_seconds
        return known(rows[rows["variant"].isin(compared)], each={"variant": compared})

    @cached_property
    def gate(self) -> pd.DataFrame:
        """The scan with its gate open and closed, with ratios to the open one."""
        rows = known(gates(self.mixing), "latency_ratio", "flops_ratio")
        return known(rows, each={"variant": (ssm_scaling.OPEN, ssm_scaling.CLOSED)})

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

    @cached_property
    def benchmark(self) -> pd.DataFrame:
        """Cases of the scan and its peers: parts forward, training, memory and floor."""
        return self.frame(ssm_scan)

    @cached_property
    def peers(self) -> pd.DataFrame:
        """The scan and its peers, forward and training, with ratios to the fallback of transformers."""
        return known(against_fallback(self.benchmark), "latency_ratio")

    @cached_property
    def scan_speedups(self) -> Mapping[str, float]:
        """ "forward" and "training" -> how many times our fastest scan's latency the fallback of transformers takes."""
        return speedups(self.peers)

    @cached_property
    def scan_speedups_kept(self) -> Mapping[str, float]:
        """The same in the series in which freed memory stayed with the process, which a CPU alone has."""
        return speedups(known(against_fallback(self.benchmark, keep_freed=True), "latency_ratio"))

    @cached_property
    def scan_memory(self) -> pd.DataFrame:
        """Memory of a training step: our fastest scan, then the fallback of transformers."""
        rows = frames.where(self.benchmark, part=ssm_scan.MEMORY)
        rows = pd.concat([ours(rows), frames.where(rows, variant=ssm_scan.FALLBACK)])
        return known(rows, "memory_bytes", each={"variant": [ssm_scan.FALLBACK]})

    @cached_property
    def scan_floor(self) -> tuple[float, float]:
        """Seconds of the exponentials of a forward pass on one thread, and of our fastest scan; a CPU alone has it."""
        floor = frames.only(self.benchmark, part=ssm_scan.FLOOR)["seconds"]
        at = dict(part=ssm_scan.FORWARD, threads=1, after=ssm_scan.ITSELF, keep_freed=False)
        return floor, known(ours(frames.where(self.benchmark, **at)), "seconds")["seconds"].iloc[0]


def against_fallback(rows: pd.DataFrame, keep_freed: bool = False) -> pd.DataFrame:
    """Latencies of scans relative to the fallback of transformers, at the most threads and with warm caches.

    keep_freed  the series in which freed memory stayed with the process, or the one with the allocator as it is
    """
    if rows.empty:
        return rows
    at = (rows["threads"] == rows["most"]) & (rows["after"] == ssm_scan.ITSELF) & (rows["keep_freed"] == keep_freed)
    timed = known(rows[at & rows["part"].isin([ssm_scan.FORWARD, ssm_scan.TRAINING])])
    return frames.ratios(timed, ssm_scan.FALLBACK, ("machine", "part"))


def ours(rows: pd.DataFrame) -> pd.DataFrame:
    """The cases of each machine's own fastest backend, in the order of `lib.names.BACKENDS`."""
    rank = rows["variant"].map({name: place for place, name in enumerate(names.BACKENDS)})
    return rows[rank == rank.groupby(rows["machine"]).transform("min")]


def speedups(rows: pd.DataFrame) -> dict[str, float]:
    """Part -> how many times our fastest backend's latency the fallback takes, of one machine's ratios."""
    rows = known(ours(rows), each={"part": (ssm_scan.FORWARD, ssm_scan.TRAINING)})
    return dict(zip(rows["part"], 1 / rows["latency_ratio"], strict=True))


def gates(rows: pd.DataFrame) -> pd.DataFrame:
    """The scan with its gate open and closed, with ratios to the open one, of any number of machines."""
    return frames.ratios(known(frames.where(rows, part=ssm_scaling.GATE)), baseline=ssm_scaling.OPEN)


def fastest(rows: pd.DataFrame) -> pd.DataFrame:
    """The scan of least latency on each machine."""
    scans = known(rows[rows["variant"].str.startswith("scan")].dropna(subset="seconds"))
    return scans[scans["seconds"] == scans.groupby("machine")["seconds"].transform("min")]
