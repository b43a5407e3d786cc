"""Judges of what the original report says of models that are not its own: A18, A19, B15, B23 and B24.

Of Mamba beside transformers, of other image towers, of papers, and of attention's memory. Toys:
`lib.experiments.artefact`.
"""

from collections.abc import Mapping

import pandas as pd

from lib.report import frames, units
from lib.report.claims.history import where
from lib.report.claims.ledger import CONTRADICTED, CORRECTED, REPRODUCED, Verdict, decide, decides
from lib.report.frames import Missing, original
from lib.report.history import Paper, Search
from lib.report.prose import extent

COMPARABLE = 2  # times the latency, up to which throughputs count as comparable
HALFWAY = 1.5  # exponent between linear and quadratic
MOST = 1 / 2  # of the memory: what fills it holds more
SIDE, BATCH = 224, 8  # pixels and images of its experiment


@decides("A18", on="mamba")
def scan_beats_attention(
    scan_against_attention: pd.DataFrame, mixing_growth: pd.DataFrame, searches: Mapping[str, Search]
) -> Verdict:
    """A18: at the longest length, is the scan faster beyond its quartiles, and does it grow more slowly than attention?

    scan_against_attention   token mixing of one layer alone: latency of the scan relative to attention, by length
    mixing_growth            exponents of both, with intervals
    """
    longest = _longest(scan_against_attention)
    scan, attention = _exponents(mixing_growth)
    holds = (longest["latency_ratio_high"] < 1).all() and scan["high"] < attention["low"]
    return Verdict(
        f"{where(searches['transformer'])} Here, of token mixing alone, fused attention takes "
        f"{extent(1 / longest['latency_ratio'])} the time of the scan at {longest['length'].max():,} tokens. "
        f"Exponents in length: {_exponent(scan)} and {_exponent(attention)}.",
        decide(holds, (longest["latency_ratio_low"] > 1).all()),
    )


@decides("A19", on="mamba_gpu")
def throughput_on_gpus(scan_against_attention_on_gpus: pd.DataFrame) -> Verdict:
    """A19: on every GPU, is the scan at most twice as slow as attention at every length, or at some length?

    scan_against_attention_on_gpus   as for A18, of machines with a GPU
    """
    return _comparable(scan_against_attention_on_gpus)


@decides("A19", on="mamba")
def throughput_on_a_cpu(scan_against_attention: pd.DataFrame) -> Verdict:
    """A19: on the reference machine, is the scan at most twice as slow as attention at every length, or at some length?

    scan_against_attention   as for A18
    """
    return _comparable(scan_against_attention)


@decides("B15", on="code")
def plugs_into_others(plugs: Mapping[str, Mapping[str, bool]]) -> Verdict:
    """B15: does its code run on ALIGN and SigLIP as on CLIP, or, mended, on one of them?

    plugs    model -> "visual tokens", "class token", "as written", "mended"
    raises   Missing where the code does not even run on CLIP
    """
    if not plugs["CLIP"]["as written"]:
        raise Missing("the original code did not run on CLIP")
    others = {name: found for name, found in plugs.items() if name != "CLIP"}
    written, mended = ([name for name, one in others.items() if one[kind]] for kind in ("as written", "mended"))
    found = [
        f"{name}'s image tower has {'' if one['visual tokens'] else 'no '}visual tokens and "
        f"{'a' if one['class token'] else 'no'} class token"
        for name, one in others.items()
    ]
    return Verdict(
        f"By transformers' own classes, {units.listed(found)}. The original code runs on "
        f"{units.listed(written) or 'neither'}, pruning by the norm in a mended form on "
        f"{units.listed(mended) or 'neither'}. EVA-CLIP has no class there, and was not tried.",
        REPRODUCED if len(written) == len(others) else CORRECTED if written or mended else CONTRADICTED,
    )


@decides("B23", on="papers")
def compact_by_distillation(papers: Mapping[str, Paper], clip_parameters: int) -> Verdict:
    """B23: are both models smaller than CLIP, by distillation and by shared weights, or is one, by one of these means?

    clip_parameters   of CLIP ViT-B/16: the smallest of a compact family has fewer
    """
    means = {name: [one in paper.by for one in ("distillation", "weight sharing")] for name, paper in papers.items()}
    compact = {name: paper.parameters[0] < clip_parameters for name, paper in papers.items()}
    found = [
        f"{name} has {_millions(paper.parameters)} parameters (arXiv {paper.sizes_from or paper.arxiv}), by "
        f"{units.listed(list(paper.by))} (arXiv {paper.arxiv})"
        for name, paper in papers.items()
    ]
    whole = all(compact[name] and all(means[name]) for name in papers)
    part = any(compact[name] and any(means[name]) for name in papers)
    return Verdict(
        f"By their abstracts, {'; '.join(found)}. CLIP ViT-B/16 has {clip_parameters / 1e6:,.0f} million. Weight "
        f"sharing is named in {sum(one[1] for one in means.values())} of {len(means)}.",
        REPRODUCED if whole else CORRECTED if part else CONTRADICTED,
    )


@decides("B24", on="table")
def maps_fill_its_memory(original_runs: pd.DataFrame, map_bytes: Mapping[int, int], encoder_bytes: int) -> Verdict:
    """B24: are one layer's attention maps more than half of its CSV's peak memory, or less than the weights?

    In inference one layer's maps are alive at once, where they are stored at all.
    """
    peak = frames.only(original_runs, run=original.CSV, variant=original.BASELINE)["memory_bytes"]
    maps, weights = BATCH * map_bytes[SIDE] / peak, encoder_bytes / peak
    return Verdict(
        f"Of the peak memory in its CSV, {units.binary(peak)} with {BATCH} images, the maps of one layer are "
        f"{units.share(maps)}, if they are stored, and the encoder's weights {units.share(weights)}.",
        decide(maps > MOST, maps < weights),
    )


@decides("B24", on="vit")
def memory_is_quadratic(encoder_memory: pd.DataFrame, map_bytes: Mapping[int, int]) -> Verdict:
    """B24: does the whole interval of memory's exponent in tokens lie nearer to two, as that of maps, than to one?

    encoder_memory   of the unreduced encoder over resolution: columns machine, side, tokens, images, held [bytes]
    """
    rows = frames.slopes(encoder_memory.assign(variant="unreduced"), "held", "tokens")
    largest = encoder_memory.sort_values("side").iloc[-1]
    found = [f"{row.slope:.2f} {units.interval(row.low, row.high)} on {row.machine}" for row in rows.itertuples()]
    return Verdict(
        f"Peak memory beside weights and input grows with the number of tokens to the power {units.listed(found)}; "
        f"stored maps would grow with the power 2. Fused attention stores none. At {largest['side']:.0f} pixels one "
        f"layer's would take {units.binary(largest['images'] * map_bytes[int(largest['side'])])}, the pass holds "
        f"{units.binary(largest['held'])}.",
        decide((rows["low"] > HALFWAY).all(), (rows["high"] < HALFWAY).all()),
    )


def _millions(sizes: tuple[int, int]) -> str:
    return f"{sizes[0] / 1e6:,.0f} to {sizes[1] / 1e6:,.0f} million"


def _longest(rows: pd.DataFrame) -> pd.DataFrame:
    return rows[rows["length"] == rows.groupby("machine")["length"].transform("max")]


def _exponents(growth: pd.DataFrame) -> tuple[pd.Series, pd.Series]:
    scans = growth[growth["variant"].str.startswith("scan")]
    return scans.iloc[0], frames.only(growth, variant="attention")


def _exponent(row: pd.Series) -> str:
    return f"{row['variant']} {row['slope']:.2f} {units.interval(row['low'], row['high'])}"


def _comparable(rows: pd.DataFrame) -> Verdict:
    near = rows["latency_ratio_high"] <= COMPARABLE
    lengths = rows["length"].min(), rows["length"].max()
    found = [
        f"{units.share(group['latency_ratio'].max())} to {units.share(group['latency_ratio'].min())} on {machine}"
        for machine, group in rows.groupby("machine", sort=False)
    ]
    return Verdict(
        f"Of token mixing alone, from {lengths[0]:,} to {lengths[1]:,} tokens, the time of the scan relative to fused "
        f"attention's: {units.listed(found)}.",
        REPRODUCED if near.all() else CORRECTED if near.any() else CONTRADICTED,
    )
