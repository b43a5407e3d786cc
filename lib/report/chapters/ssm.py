"""State space models: what the chapter's text says, and what is compared between machines."""

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from lib.experiments import ssm_scaling, ssm_scan
from lib.experiments import ssm_scan_jobs as bench
from lib.report import frames
from lib.report.evidence import Evidence
from lib.report.views import ssm as views
from lib.report.views.base import comparison, known
from lib.report.views.files import naming_files
from lib.report.views.ssm import Faster


@dataclass(frozen=True)
class Against:
    """Our scan against the fastest peer of each pass, or against one that is named."""

    forward: Faster
    training: Faster


@dataclass(frozen=True)
class Floor:
    """Of a forward pass on one thread: seconds of its exponentials alone, and that time as a share of our scan's."""

    seconds: float
    share: float


@dataclass(frozen=True)
class Numbers:
    """All that the text of the chapter says. Times and memory are of the reference machine.

    machine                its title
    source, bench          machine, day and commit of the records on token mixing, and of the scan against its peers
    longest                tokens of the longest sequence
    attention_exponent, scan_exponent, s4d_exponent   of latency in length; the scan is the fastest one
    attention_over_scan    attention's latency at the longest length, relative to the fastest scan's
    definition_length, definition_over_scan   longest length of the definition, a Python loop; its latency there
    best                   how many times our scan's latency the fastest peer takes, and which it is
    kept                   the same where freed memory stays with the process; None on a GPU
    slow                   the same against the fallback of transformers, which needs nothing installed
    threads                of these timings
    absent                 peers that were not timed, each with its reason
    memory_length          tokens of the training step whose memory follows
    memory, memory_fallback   bytes beyond inputs, output and gradients: our scan's, the fallback's
    floor                  the exponentials alone; None on a GPU
    departure              of the selective scan from superposition, relative to its largest output
    scan_width, block_width   exponents of operations in the width
    closed_gate            latency with a gate that lets nothing in, relative to an open one
    """

    machine: str
    source: str
    bench: str
    longest: int
    attention_exponent: float
    scan_exponent: float
    s4d_exponent: float
    attention_over_scan: float
    definition_length: int
    definition_over_scan: float
    best: Against
    kept: Against | None
    slow: Against
    threads: int
    absent: list[str]
    memory_length: int
    memory: float
    memory_fallback: float
    floor: Floor | None
    departure: float
    scan_width: float
    block_width: float
    closed_gate: float


@naming_files
def numbers(evidence: Evidence) -> Numbers:
    """The numbers of the chapter's text.

    raises   Missing where a record or the toy on superposition is
    """
    exponents = evidence.mixing_growth.set_index("variant")["slope"]
    longest, fastest = evidence.mixing_longest, evidence.fastest_scan
    seconds = _seconds(longest, views.ATTENTION, fastest)
    defined = _seconds(evidence.mixing_defined, views.DEFINITION, fastest)
    memory, fallback = evidence.scan_memory["memory_bytes"]
    return Numbers(
        machine=evidence.title,
        source=evidence.sources(ssm_scaling.NAME),
        bench=evidence.sources(ssm_scan.NAME),
        longest=int(longest["length"].iloc[0]),
        attention_exponent=exponents[views.ATTENTION],
        scan_exponent=exponents[fastest],
        s4d_exponent=exponents[views.S4D],
        attention_over_scan=seconds[views.ATTENTION] / seconds[fastest],
        definition_length=int(evidence.mixing_defined["length"].iloc[0]),
        definition_over_scan=defined[views.DEFINITION] / defined[fastest],
        best=_against(evidence.scan_speedups),
        kept=_against(evidence.scan_speedups_kept) if evidence.benchmark["keep_freed"].eq(True).any() else None,
        slow=_against(evidence.scan_speedups_fallback),
        threads=int(evidence.peers["threads"].iloc[0]),
        absent=_absent(evidence),
        memory_length=int(evidence.scan_memory["length"].iloc[0]),
        memory=memory,
        memory_fallback=fallback,
        floor=_floor(evidence),
        departure=evidence.superposition["selective"],
        scan_width=evidence.mixing_operations["scan over D"],
        block_width=evidence.mixing_operations["block over D"],
        closed_gate=frames.only(evidence.gate, variant=ssm_scaling.CLOSED)["latency_ratio"],
    )


def _seconds(rows: pd.DataFrame, *variants: str) -> pd.Series:
    """Latencies of variants at one length, by name; a variant that has none is missing."""
    return known(rows[rows["variant"].isin(variants)], "seconds", each={"variant": variants})["seconds"]


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
            comparison(_at_longest(mixing), "fastest scan / attention, longest sequence"),
            comparison(views.gates(mixing), "gate closed / open", variant=ssm_scaling.CLOSED),
        ]
    return pd.concat([one for one in found if not one.empty] or [comparison(pd.DataFrame(), "")], ignore_index=True)


def _at_longest(mixing: pd.DataFrame) -> pd.DataFrame:
    """The fastest scan at each machine's longest length, with ratios to attention."""
    rows = frames.where(mixing, part=ssm_scaling.LENGTHS)
    rows = rows[rows["length"] == rows.groupby("machine")["length"].transform("max")]
    return views.fastest(frames.ratios(rows, views.ATTENTION))


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
    if not evidence.benchmark["part"].eq(bench.FLOOR).any():
        return None
    floor, scan = evidence.scan_floor
    return Floor(floor, floor / scan)
