"""Records and the seed's tables as data frames: one row per case, ratios to a named baseline beside it.

Columns in base units: seconds, memory_bytes (the input and the peak above it), flops. A ratio of latency is
formed round by round, since the variants were timed in turns; its median and quartiles follow.
"""

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
from scipy import stats

from lib.paths import SEED
from lib.records import Record, machine_title

MIB = 2**20


def seed_mrss() -> pd.DataFrame:
    """The seed report's MRSS table (section 6.3) in base units, with ratios to its baseline; one T4 GPU."""
    table = pd.read_csv(SEED / "mrss.csv")
    frame = pd.DataFrame(
        {
            "machine": "seed report, T4",
            "variant": [row.variant if pd.isna(row.factor) else f"r = {row.factor:.0f}" for row in table.itertuples()],
            "factor": table["factor"].astype("Int64"),
            "seconds": table["latency_ms"] / 1e3,
            "throughput": table["throughput_seq_per_s"],
            "memory_bytes": table["peak_memory_mib"] * MIB,
            "flops": table["gflops"] * 1e9,
        }
    )
    base = frame[frame["variant"] == "baseline"].iloc[0]
    return frame.assign(
        latency_ratio=frame["seconds"] / base["seconds"],
        memory_ratio=frame["memory_bytes"] / base["memory_bytes"],
        flops_ratio=frame["flops"] / base["flops"],
    )


def cases(record: Record, machine: str | None = None) -> pd.DataFrame:
    """One row per case: its parameters, raw `runs`, median and quartiles of seconds, bytes, operations, error.

    A case parameter `input_bytes` is added to the peak above the start, which leaves the input out.

    machine  what to call the machine; its title in data/runs when left out
    """
    rows = [
        {
            "machine": machine or machine_title(record),
            "variant": case.variant,
            **case.parameters,
            "runs": np.array(case.seconds),
            **_quartiles("seconds", case.seconds),
            "memory_bytes": np.nan
            if case.peak_bytes is None
            else case.peak_bytes + case.parameters.get("input_bytes", 0),
            "flops": np.nan if case.flops is None else case.flops,
            "error": case.error,
        }
        for case in record.cases
    ]
    frame = pd.DataFrame(rows)
    return frame.astype({"factor": "Int64"}) if "factor" in frame else frame


def gather(records: Iterable[Record], part: str) -> pd.DataFrame:
    """The cases of one part of an experiment, from several machines' records.

    raises  ValueError where no record is given, or where one has no such part, naming those it has
    """
    found = []
    for frame in map(cases, records):
        parts = list(frame["part"].unique())
        if part not in parts:
            raise ValueError(f"{frame['machine'].iloc[0]}: no part {part!r} among {', '.join(map(repr, parts))}")
        found.append(frame[frame["part"] == part])
    if not found:
        raise ValueError(f"part {part!r} of no record: at least one is needed")
    return pd.concat(found)


def benchmark(record: Record, baseline: str = "transformers, fallback", *, keep_freed: bool = False) -> pd.DataFrame:
    """The latencies of a benchmark of scans over the fallback's, at the most threads and with warm caches.

    keep_freed  the series in which freed memory stayed with the process, or the one with the allocator as it is
    """
    frame = cases(record)
    timed = frame[frame["part"].isin(["forward", "training"]) & (frame["threads"] == record.parameters["threads"])]
    timed = timed[(timed["after"] == "itself") & (timed["keep_freed"].astype(bool) == keep_freed)]
    return ratios(timed, baseline=baseline, within=("machine", "part"))


def ratios(
    frame: pd.DataFrame, baseline: str = "baseline", within: tuple[str, ...] = ("machine", "batch", "length")
) -> pd.DataFrame:
    """Add ratios to the baseline of the same group: latency with quartiles, memory, operations.

    within  columns that a variant and its baseline have in common
    raises  ValueError, naming the group, where it holds no baseline
    """
    groups = []
    for key, group in frame.groupby(list(within), sort=False):
        found = group[group["variant"] == baseline]
        if len(found) != 1:
            raise ValueError(
                f"{dict(zip(within, key, strict=True))}: {len(found)} cases named {baseline!r}, 1 is needed"
            )
        base = found.iloc[0]
        quotients = [_quotient(runs, base["runs"]) for runs in group["runs"]]
        groups.append(
            group.assign(
                **pd.DataFrame([_quartiles("latency_ratio", values) for values in quotients], index=group.index),
                memory_ratio=group["memory_bytes"] / base["memory_bytes"],
                flops_ratio=group["flops"] / base["flops"],
            )
        )
    return pd.concat(groups)


def speedup(frame: pd.DataFrame, variant: str) -> dict[str, float]:
    """Part of a run -> how many times a variant's latency the baseline takes, from a frame with ratios."""
    rows = frame[frame["variant"] == variant]
    return dict(zip(rows["part"], 1 / rows["latency_ratio"], strict=True))


def where(frame: pd.DataFrame, **values: object) -> pd.DataFrame:
    """The cases whose columns have these values."""
    return frame[(frame[list(values)] == pd.Series(values)).all(axis="columns")]


def only(frame: pd.DataFrame, **values: object) -> pd.Series:
    """The one case whose columns have these values.

    raises  ValueError, quoting them, where there is none or more than one
    """
    found = where(frame, **values)
    if len(found) != 1:
        raise ValueError(f"{values}: {len(found)} cases, 1 is needed")
    return found.iloc[0]


def slope(sizes: Sequence[float], costs: Sequence[float], confidence: float = 0.95) -> tuple[float, float, float]:
    """Exponent of a cost in a size: the slope of log cost over log size, and its interval.

    returns  slope, low, high; the interval is Student's, from the residuals of a straight line
    raises   ValueError for fewer than three sizes
    """
    if len(sizes) < 3:
        raise ValueError(f"{len(sizes)} sizes: a slope with an interval needs at least 3")
    fit = stats.linregress(np.log(sizes), np.log(costs))
    margin = stats.t.ppf((1 + confidence) / 2, len(sizes) - 2) * fit.stderr
    return fit.slope, fit.slope - margin, fit.slope + margin


def slopes(frame: pd.DataFrame, cost: str = "seconds", over: str = "length", last: int | None = None) -> pd.DataFrame:
    """Slope of a cost over a size per machine and variant, of latencies from the medians.

    last  only the so many largest sizes count: what a curve with fixed costs at its start comes to
    """
    rows = []
    for (machine, variant), group in frame.dropna(subset=cost).groupby(["machine", "variant"], sort=False):
        group = group.sort_values(over).iloc[-(last or len(group)) :]
        middle, low, high = slope(list(group[over]), list(group[cost]))
        rows.append({"machine": machine, "variant": variant, "slope": middle, "low": low, "high": high})
    return pd.DataFrame(rows)


def _quotient(runs: np.ndarray, base: np.ndarray) -> np.ndarray:
    return runs / base if len(runs) and len(base) else np.array([])


def _quartiles(name: str, values) -> dict[str, float]:
    if not len(values):
        return {name: np.nan, f"{name}_low": np.nan, f"{name}_high": np.nan}
    low, median, high = np.quantile(values, [0.25, 0.5, 0.75])
    return {name: median, f"{name}_low": low, f"{name}_high": high}
