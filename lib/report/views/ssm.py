"""Evidence on state space models: token mixing over its sizes, the gate, and the scan against its peers."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from lib import names
from lib.experiments import ssm_scaling, ssm_scan
from lib.experiments import ssm_scan_jobs as bench
from lib.report import frames
from lib.report.views.base import Base, complete, known

GROUP = ("machine", "part", "length")  # within which one scan is compared with another
LAST = 4  # lengths of a slope: the longest, where fixed costs matter least
ATTENTION, S4D, DEFINITION = "attention", "S4D", "scan, ref"


@dataclass(frozen=True)
class Faster:
    """How many times our scan's latency a peer takes: the median over rounds, and its quartiles.

    peer     its name
    length   tokens of the pass
    """

    peer: str
    times: float
    low: float
    high: float
    length: int


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
        return complete(known(frames.where(self.mixing, part=ssm_scaling.LENGTHS)), "variant", "length")

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
    def mixing_defined(self) -> pd.DataFrame:
        """Cases of token mixing at the longest length at which the definition is timed, by variant."""
        rows = self.mixing_lengths
        longest = rows.loc[rows["variant"] == DEFINITION, "length"].max()
        return rows[rows["length"] == longest].set_index("variant", drop=False)

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
        """The scan and its peers, forward and training, with ratios to the fastest peer, and its name as `best`."""
        return known(against_best(self.benchmark), "latency_ratio")

    @cached_property
    def scan_speedups(self) -> Mapping[str, Faster]:
        """ "forward" and "training" -> our fastest scan against the fastest peer there."""
        return speedups(self.peers)

    @cached_property
    def scan_speedups_kept(self) -> Mapping[str, Faster]:
        """The same in the series in which freed memory stayed with the process, which a CPU alone has."""
        return speedups(known(against_best(self.benchmark, keep_freed=True), "latency_ratio"))

    @cached_property
    def scan_speedups_fallback(self) -> Mapping[str, Faster]:
        """The same against the fallback of transformers, in training at the tokens that it was timed with."""
        rows = known(against_fallback(self.benchmark), "latency_ratio")
        return speedups(rows.replace({"part": {bench.SHORT: bench.TRAINING}}))

    @cached_property
    def absent_peers(self) -> pd.DataFrame:
        """Peers that were not timed: variant, of which part, and why; records before November 2026 name none."""
        rows = frames.where(self.benchmark, part=bench.ABSENT)
        return rows.reindex(columns=["machine", "variant", "of", "error"])

    @cached_property
    def scan_memory(self) -> pd.DataFrame:
        """Memory of a training step: our fastest scan, then the fallback of transformers."""
        rows = frames.where(self.benchmark, part=bench.MEMORY)
        rows = pd.concat([ours(rows), frames.where(rows, variant=bench.FALLBACK)])
        return known(rows, "memory_bytes", each={"variant": [bench.FALLBACK]})

    @cached_property
    def scan_floor(self) -> tuple[float, float]:
        """Seconds of the exponentials of a forward pass on one thread, and of our fastest scan; a CPU alone has it."""
        floor = frames.only(self.benchmark, part=bench.FLOOR)["seconds"]
        at = dict(part=bench.FORWARD, threads=1, after=bench.ITSELF, keep_freed=False)
        return floor, known(ours(frames.where(self.benchmark, **at)), "seconds")["seconds"].iloc[0]


def against_best(rows: pd.DataFrame, keep_freed: bool = False) -> pd.DataFrame:
    """Latencies of scans relative to the fastest peer of the same machine and part, and its name as `best`.

    At the most threads and with warm caches; a part in which no peer was timed is left out.
    keep_freed  the series in which freed memory stayed with the process, or the one with the allocator as it is
    """
    labels, found = [row.label for row in names.PEERS.values()], []
    for group in _groups(rows, keep_freed, bench.FORWARD, bench.TRAINING):
        if not (theirs := group[group["variant"].isin(labels)]).empty:
            best = theirs.sort_values("seconds")["variant"].iloc[0]
            found.append(frames.ratios(group, best, GROUP).assign(best=best))
    return pd.concat(found) if found else rows.iloc[:0]


def against_fallback(rows: pd.DataFrame) -> pd.DataFrame:
    """The same relative to the fallback of transformers, in the parts in which it was timed."""
    groups = _groups(rows, False, bench.FORWARD, bench.TRAINING, bench.SHORT)
    found = [
        frames.ratios(group, bench.FALLBACK, GROUP).assign(best=bench.FALLBACK)
        for group in groups
        if bench.FALLBACK in set(group["variant"])
    ]
    return pd.concat(found) if found else rows.iloc[:0]


def _groups(rows: pd.DataFrame, keep_freed: bool, *parts: str) -> list[pd.DataFrame]:
    """The timed cases of each machine and part, at the most threads and with warm caches."""
    if rows.empty:
        return []
    at = (rows["threads"] == rows["most"]) & (rows["after"] == bench.ITSELF) & (rows["keep_freed"] == keep_freed)
    timed = rows[at & rows["part"].isin(parts)].dropna(subset="seconds")
    return [group for _, group in timed.groupby(list(GROUP), sort=False)]


def ours(rows: pd.DataFrame) -> pd.DataFrame:
    """The cases of each machine's own fastest backend, in the order of `lib.names.BACKENDS`."""
    rank = rows["variant"].map({name: place for place, name in enumerate(names.BACKENDS)})
    return rows[rank == rank.groupby(rows["machine"]).transform("min")]


def speedups(rows: pd.DataFrame) -> dict[str, Faster]:
    """Part -> our fastest backend against what the ratios of one machine are relative to."""
    rows = known(ours(rows), each={"part": (bench.FORWARD, bench.TRAINING)})
    return {
        row.part: Faster(
            row.best, 1 / row.latency_ratio, 1 / row.latency_ratio_high, 1 / row.latency_ratio_low, int(row.length)
        )
        for row in rows.itertuples()
    }


def gates(rows: pd.DataFrame) -> pd.DataFrame:
    """The scan with its gate open and closed, with ratios to the open one, of any number of machines."""
    return frames.ratios(known(frames.where(rows, part=ssm_scaling.GATE)), baseline=ssm_scaling.OPEN)


def fastest(rows: pd.DataFrame) -> pd.DataFrame:
    """The scan of least latency on each machine."""
    scans = known(rows[rows["variant"].str.startswith("scan")].dropna(subset="seconds"))
    return scans[scans["seconds"] == scans.groupby("machine")["seconds"].transform("min")]
