"""State space models: what the chapter's text says, and what is compared between machines."""

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from lib.experiments import ssm_scaling, ssm_scan
from lib.experiments import ssm_scan_jobs as bench
from lib.report import frames
from lib.report.evidence import Evidence
from lib.report.frames import Missing
from lib.report.views import ssm as views
from lib.report.views.base import comparison, known
from lib.report.views.files import naming_files
from lib.report.views.ssm import Faster

SIZES = {"longest": "length", "dim": "dim", "states": "states"}  # of token mixing: a number's name -> a column


@dataclass(frozen=True)
class Sizes:
    """Sizes of the scan's benchmark in both passes: sequences, tokens, channels, states, float type, threads."""

    batch: int
    length: int
    channels: int
    states: int
    dtype: str
    threads: int


@dataclass(frozen=True)
class Against:
    """Our scan against the fastest peer of each pass."""

    forward: Faster
    training: Faster


@dataclass(frozen=True)
class Slow:
    """Our scan against transformers' fallback; in training None where a record has no such series."""

    forward: Faster
    training: Faster | None


@dataclass(frozen=True)
class Slope:
    """An exponent in length with its interval, and the shortest and the longest of the lengths that it is from."""

    value: float
    low: float
    high: float
    first: int
    last: int


@dataclass(frozen=True)
class Floor:
    """Of a forward pass on one thread: seconds of its exponentials alone, and that time as a share of our scan's."""

    seconds: float
    share: float


@dataclass(frozen=True)
class Gate:
    """A gate that lets nothing in, relative to an open one: operations, and latency with its quartiles."""

    operations: float
    latency: float
    low: float
    high: float


@dataclass(frozen=True)
class Numbers:
    """All that the text of the chapter says. Times and memory are of the reference machine.

    machine                its title
    source, bench          machine, day and commit of the records on token mixing, and of the scan against its peers
    longest                tokens of the longest sequence that attention is timed at
    dim, states            channels and states per channel of what is mixed, one sequence at a time
    attention, scan, s4d   exponents of latency in length; the scan is the fastest one
    attention_memory, scan_memory   exponents of peak memory in length
    attention_over_scan    attention's latency at its longest length, relative to the fastest scan's
    definition_length, definition_over_scan   longest length of the definition, a Python loop; its latency there
    definition_operations  its operations there, relative to the fastest scan's
    sizes                  of the scan against its peers
    best                   how many times our scan's latency the fastest peer takes, and which it is; freed memory kept
    returned               the same where the allocator returns freed memory; None on a GPU
    slow                   freed memory kept, against the fallback of transformers, which needs nothing installed
    absent                 peers that were not timed, each with its reason
    memory_length          tokens of the training step whose memory follows
    memory, memory_fallback   bytes beyond inputs, output and gradients: our scan's, the fallback's
    floor                  the exponentials alone; None on a GPU, and where no forward pass was timed beside
    departure              of the selective scan from superposition in the toy, relative to its largest output
    scan_width, block_width   exponents of operations in the width
    closed                 what a closed gate saves
    """

    machine: str
    source: str
    bench: str
    longest: int
    dim: int
    states: int
    attention: Slope
    scan: Slope
    s4d: Slope
    attention_memory: float
    scan_memory: float
    attention_over_scan: float
    definition_length: int
    definition_over_scan: float
    definition_operations: float
    sizes: Sizes
    best: Against
    returned: Against | None
    slow: Slow
    absent: list[str]
    memory_length: int
    memory: float
    memory_fallback: float
    floor: Floor | None
    departure: float
    scan_width: float
    block_width: float
    closed: Gate


@naming_files
def numbers(evidence: Evidence) -> Numbers:
    """The numbers of the chapter's text.

    raises   Missing where a record or the toy on superposition is
    """
    longest, defined, fastest = evidence.mixing_longest, evidence.mixing_defined, evidence.fastest_scan
    scan = frames.only(evidence.scan_against_attention, length=longest["length"].iloc[0])
    definition = frames.only(frames.ratios(known(defined, "seconds", "flops"), fastest), variant=views.DEFINITION)
    grown = evidence.mixing_memory.set_index("variant")["slope"]
    memory, fallback = evidence.scan_memory["memory_bytes"]
    slow, closed = evidence.scan_speedups_fallback, frames.only(evidence.gate, variant=ssm_scaling.CLOSED)
    return Numbers(
        machine=evidence.title,
        source=evidence.sources(ssm_scaling.NAME),
        bench=evidence.sources(ssm_scan.NAME),
        **{name: int(longest[column].iloc[0]) for name, column in SIZES.items()},
        attention=_slope(evidence, views.ATTENTION),
        scan=_slope(evidence, fastest),
        s4d=_slope(evidence, views.S4D),
        attention_memory=grown[views.ATTENTION],
        scan_memory=grown[fastest],
        attention_over_scan=1 / scan["latency_ratio"],
        definition_length=int(defined["length"].iloc[0]),
        definition_over_scan=definition["latency_ratio"],
        definition_operations=definition["flops_ratio"],
        sizes=_sizes(evidence.peers),
        best=_against(evidence.scan_speedups_kept),
        returned=_against(evidence.scan_speedups_returned) if evidence.benchmark["kept"].any() else None,
        slow=Slow(slow[bench.FORWARD], slow.get(bench.TRAINING)),
        absent=_absent(evidence),
        memory_length=int(evidence.scan_memory["length"].iloc[0]),
        memory=memory,
        memory_fallback=fallback,
        floor=_floor(evidence),
        departure=evidence.superposition["selective"],
        scan_width=evidence.mixing_operations["scan over D"],
        block_width=evidence.mixing_operations["block over D"],
        closed=Gate(closed["flops_ratio"], *closed[["latency_ratio", "latency_ratio_low", "latency_ratio_high"]]),
    )


def _slope(evidence: Evidence, variant: str) -> Slope:
    found = frames.only(evidence.mixing_growth, variant=variant)
    lengths = frames.where(evidence.mixing_lengths, variant=variant)["length"].sort_values().iloc[-views.LAST :]
    return Slope(found["slope"], found["low"], found["high"], int(lengths.iloc[0]), int(lengths.iloc[-1]))


def _sizes(peers: pd.DataFrame) -> Sizes:
    """Those of every pass.

    raises   Missing where passes differ in a size: their numbers would not stand side by side
    """
    sizes = peers[["batch", "length", "dim", "states", "dtype", "threads"]].drop_duplicates()
    if len(sizes) != 1:
        raise Missing("the scan's passes were timed at different sizes")
    *counts, dtype, threads = sizes.iloc[0]
    return Sizes(*map(int, counts), dtype, int(threads))


@naming_files
def across_machines(evidence: Evidence) -> pd.DataFrame:
    """Key latency ratios on every machine that has the record they come from: rows of `views.base.comparison`."""
    peers, mixing = evidence.compared(ssm_scan), evidence.compared(ssm_scaling)
    found = []
    if not peers.empty:
        rows = views.ours(views.against_best(peers))
        found += [
            comparison(rows, f"our scan / best peer, {part}", part=part) for part in (bench.FORWARD, bench.TRAINING)
        ]
    if not mixing.empty:
        found += [
            comparison(_at_longest(mixing), "fastest scan / attention, its longest sequence"),
            comparison(views.gates(mixing), "gate closed / open", variant=ssm_scaling.CLOSED),
        ]
    return pd.concat([one for one in found if not one.empty] or [comparison(pd.DataFrame(), "")], ignore_index=True)


def _at_longest(mixing: pd.DataFrame) -> pd.DataFrame:
    """The fastest scan at the longest length that attention is timed at on each machine, with ratios to attention."""
    rows = frames.where(mixing, part=ssm_scaling.LENGTHS)
    return views.fastest(frames.ratios(views.together(rows), views.ATTENTION))


def _against(found: Mapping[str, Faster]) -> Against:
    return Against(found[bench.FORWARD], found[bench.TRAINING])


@naming_files
def _absent(evidence: Evidence) -> list[str]:
    """`mamba_ssm (it needs a CUDA device)`, `llama.cpp in training (it computes no gradients)`."""
    rows = evidence.absent_peers
    rows = rows[rows["of"].isin([bench.EVERYTHING, bench.FORWARD, bench.TRAINING])]
    where = {bench.EVERYTHING: "", bench.FORWARD: " in a forward pass", bench.TRAINING: " in training"}
    return [f"{row.variant}{where[row.of]} ({row.error})" for row in rows.itertuples()]


@naming_files
def _floor(evidence: Evidence) -> Floor | None:
    rows = evidence.benchmark
    alone = rows["part"].eq(bench.FORWARD) & rows["threads"].eq(1) & rows["keep_freed"].eq(views.KEPT)
    if not rows["part"].eq(bench.FLOOR).any() or not alone.any():
        return None
    floor, scan = evidence.scan_floor
    return Floor(floor, floor / scan)
