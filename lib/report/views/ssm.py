"""Evidence on state space models: token mixing over its sizes, the gate, and the scan against its peers."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from lib import names
from lib.experiments import ssm_scaling, ssm_scan
from lib.experiments import ssm_scan_jobs as bench
from lib.report import frames
from lib.report.views.base import Base, complete, known

GROUP = ("machine", "part", "length")  # within which one scan is compared with another
LAST = 5  # lengths of a slope: the longest at which a mixer is timed, where fixed costs matter least
ATTENTION, S4D, DEFINITION = ssm_scaling.ATTENTION, "S4D", "scan, ref"
SLOPED = 3  # lengths that a slope needs
KEPT, RETURNED = True, False  # freed memory: kept by the process, as in all other records, or as the allocator does


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
        """Cases of token mixing by length; variants of too few lengths for a slope are left out."""
        rows = known(frames.where(self.mixing, part=ssm_scaling.LENGTHS))
        many = rows.groupby("variant")["length"].transform("nunique") >= SLOPED
        compared = rows["variant"].isin([S4D, fastest(together(rows))["variant"].iloc[0]])
        complete(rows[compared], "variant", "length")
        return rows[many]

    @cached_property
    def mixing_seconds(self) -> pd.DataFrame:
        """Slopes of every mixer's latency over its longest lengths.

        An interval is Student's, from the medians' distances to a straight line: it holds what a length adds by its
        place in caches, too. Fits of single rounds would leave that out, since all rounds have it in common, and
        lengths were not timed in turns.
        """
        return known(frames.slopes(self.mixing_lengths, "seconds", last=LAST), "slope", "low", "high")

    @cached_property
    def mixing_memory(self) -> pd.DataFrame:
        """Slopes of every mixer's memory over its longest lengths."""
        return known(frames.slopes(self.mixing_lengths, "memory_bytes", last=LAST), "slope", "low", "high")

    @cached_property
    def mixing_longest(self) -> pd.DataFrame:
        """Cases of token mixing at the longest length that attention is timed at, by variant."""
        return together(self.mixing_lengths).set_index("variant", drop=False)

    @cached_property
    def mixing_defined(self) -> pd.DataFrame:
        """Cases of token mixing at the longest length at which the definition is timed, by variant."""
        return together(self.mixing_lengths, DEFINITION).set_index("variant", drop=False)

    @cached_property
    def fastest_scan(self) -> str:
        """Variant of the scan that takes the least time at the longest length that attention is timed at."""
        return fastest(self.mixing_longest)["variant"].iloc[0]

    @cached_property
    def mixing_growth(self) -> pd.DataFrame:
        """Slopes of latency over the longest lengths of each: attention, S4D, and the fastest scan."""
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
        """The scan and its peers, forward and training, with ratios to the fastest peer, and its name as `best`.

        Freed memory stays with the process: on a CPU by this record's choice, as in all other records; on a GPU
        torch's allocator always keeps it.
        """
        return known(against_best(self.benchmark), "latency_ratio")

    @cached_property
    def scan_speedups_kept(self) -> Mapping[str, Faster]:
        """ "forward" and "training" -> our fastest scan against the fastest peer there, freed memory kept."""
        return speedups(self.peers)

    @cached_property
    def scan_speedups_returned(self) -> Mapping[str, Faster]:
        """The same in the series in which the allocator returns freed memory to the system, which a CPU alone has."""
        return speedups(known(against_best(self.benchmark, RETURNED), "latency_ratio"))

    @cached_property
    def scan_speedups_fallback(self) -> Mapping[str, Faster]:
        """The same against the fallback of transformers, freed memory kept, in each pass in which it was timed so.

        In training at the tokens that it was timed with; older records lack it there.
        """
        rows = known(against_fallback(self.benchmark), "latency_ratio")
        return speedups(rows.replace({"part": {bench.SHORT: bench.TRAINING}}), each=())

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
        at = dict(part=bench.FORWARD, threads=1, after=bench.ITSELF, keep_freed=KEPT)
        return floor, known(ours(frames.where(self.benchmark, **at)), "seconds")["seconds"].iloc[0]


def against_best(rows: pd.DataFrame, freed: bool = KEPT) -> pd.DataFrame:
    """Latencies of scans relative to the fastest peer of the same machine and part, and its name as `best`.

    At the most threads and with warm caches; a part in which no peer was timed is left out.
    freed   KEPT, or RETURNED: of machines that have series of both manners
    """
    labels, found = [row.label for row in names.PEERS.values()], []
    for group in _groups(rows, freed, bench.FORWARD, bench.TRAINING):
        if not (theirs := group[group["variant"].isin(labels)]).empty:
            best = theirs.sort_values("seconds")["variant"].iloc[0]
            found.append(frames.ratios(group, best, GROUP).assign(best=best))
    return pd.concat(found) if found else rows.iloc[:0]


def against_fallback(rows: pd.DataFrame) -> pd.DataFrame:
    """The same relative to the fallback of transformers, freed memory kept, in the parts in which it was timed."""
    groups = _groups(rows, KEPT, bench.FORWARD, bench.TRAINING, bench.SHORT)
    found = [
        frames.ratios(group, bench.FALLBACK, GROUP).assign(best=bench.FALLBACK)
        for group in groups
        if bench.FALLBACK in set(group["variant"])
    ]
    return pd.concat(found) if found else rows.iloc[:0]


def _groups(rows: pd.DataFrame, freed: bool, *parts: str) -> list[pd.DataFrame]:
    """The timed cases of each machine and part, at the most threads and with warm caches."""
    if rows.empty:
        return []
    manner = rows["keep_freed"].eq(True) == rows["kept"] if freed else rows["keep_freed"].eq(False) & rows["kept"]
    at = (rows["threads"] == rows["most"]) & (rows["after"] == bench.ITSELF) & manner
    timed = rows[at & rows["part"].isin(parts)].dropna(subset="seconds")
    return [group for _, group in timed.groupby(list(GROUP), sort=False)]


def ours(rows: pd.DataFrame) -> pd.DataFrame:
    """The cases of each machine's own fastest backend, in the order of `lib.names.BACKENDS`."""
    rank = rows["variant"].map({name: place for place, name in enumerate(names.BACKENDS)})
    return rows[rank == rank.groupby(rows["machine"]).transform("min")]


def speedups(rows: pd.DataFrame, each: Iterable[str] = (bench.FORWARD, bench.TRAINING)) -> dict[str, Faster]:
    """Part -> our fastest backend against what the ratios of one machine are relative to.

    each   parts that must be there
    """
    rows = known(ours(rows), each={"part": each})
    return {
        row.part: Faster(
            row.best, 1 / row.latency_ratio, 1 / row.latency_ratio_high, 1 / row.latency_ratio_low, int(row.length)
        )
        for row in rows.itertuples()
    }


def gates(rows: pd.DataFrame) -> pd.DataFrame:
    """The scan with its gate open and closed, with ratios to the open one, of any number of machines."""
    return frames.ratios(known(frames.where(rows, part=ssm_scaling.GATE)), baseline=ssm_scaling.OPEN)


def together(rows: pd.DataFrame, variant: str = ATTENTION) -> pd.DataFrame:
    """The cases at the longest length at which a variant is timed, of each machine."""
    lengths = rows["length"].where(rows["variant"] == variant).groupby(rows["machine"]).transform("max")
    return rows[rows["length"] == lengths]


def beside(rows: pd.DataFrame, variant: str = ATTENTION) -> pd.DataFrame:
    """The cases at lengths at which a variant is timed, too."""
    timed = rows.loc[rows["variant"] == variant, ["machine", "length"]].drop_duplicates()
    return rows.merge(timed, on=["machine", "length"])


def fastest(rows: pd.DataFrame) -> pd.DataFrame:
    """The scan of least latency on each machine."""
    scans = known(rows[rows["variant"].str.startswith("scan")].dropna(subset="seconds"))
    return scans[scans["seconds"] == scans.groupby("machine")["seconds"].transform("min")]
