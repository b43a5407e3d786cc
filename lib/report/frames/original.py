"""The original report's tables and runs in base units, with ratios to their own baselines; all of one T4 GPU."""

import pandas as pd

from lib.paths import ORIGINAL, in_repository
from lib.report import frames
from lib.report.frames import MIB, Missing

MACHINE = "original report, T4"
BASELINE, PRUNED = "baseline", "vtp"
CSV, PRINTED, SECOND, THIRD = "csv", "printed", "second", "third"  # runs of its experiment on tokens
MEASURED = (CSV, SECOND, THIRD)  # but for its table, which rounds the first
PATCHES = 196  # of an image of 224 pixels, of which its code keeps a whole number, and adds one token


def mrss() -> pd.DataFrame:
    """The table on multi-resolution scanning (part A, section 6.3): a row per variant, ratios to the baseline."""
    table = pd.read_csv(in_repository(ORIGINAL / "mrss.csv"))
    frame = pd.DataFrame(
        {
            "machine": MACHINE,
            "variant": [row.variant if pd.isna(row.factor) else f"r = {row.factor:.0f}" for row in table.itertuples()],
            "factor": table["factor"].astype("Int64"),
            "seconds": table["latency_ms"] / 1e3,
            "throughput": table["throughput_seq_per_s"],
            "memory_bytes": table["peak_memory_mib"] * MIB,
            "flops": table["gflops"] * 1e9,
        }
    )
    return _over_baseline(frame, latency_ratio="seconds", memory_ratio="memory_bytes", flops_ratio="flops")


def clip() -> pd.DataFrame:
    """The table on pruned tokens (part B, section 6.1): a row per share of tokens kept, ratios to the baseline."""
    return frames.where(runs(), run=PRINTED).drop(columns=["run", "tokens", "throughput_ratio"]).reset_index(drop=True)


def runs() -> pd.DataFrame:
    """All runs of its experiment on tokens, a row per share kept, ratios to each run's own baseline.

    Columns run, variant ("baseline", "vtp"), keep, tokens, seconds, throughput, memory_bytes, which two runs lack. In
    the third run the baseline takes the place of keep 1.
    """
    table = pd.read_csv(in_repository(ORIGINAL / "vtp_runs.csv"))
    table.insert(0, "machine", MACHINE)
    table["tokens"] = 1 + (table["keep"] * PATCHES).astype(int)
    ratios = {"latency_ratio": "seconds", "memory_ratio": "memory_bytes", "throughput_ratio": "throughput"}
    return pd.concat([_over_baseline(one, **ratios) for _, one in table.groupby("run", sort=False)])


def noise(rows: pd.DataFrame) -> pd.DataFrame:
    """How far two runs of one protocol differ: variant, keep, and `difference` of latency, relative to the first run.

    rows     of `runs`
    raises   Missing where either run has no such row
    """
    return _against(rows, SECOND, CSV, "seconds")


def printed(rows: pd.DataFrame) -> pd.DataFrame:
    """How far the printed throughput departs from its own CSV: variant, keep, difference, as `noise`."""
    return _against(rows, PRINTED, CSV, "throughput")


def growth(rows: pd.DataFrame) -> pd.DataFrame:
    """Exponent of latency in the number of tokens of each measured run, with its interval: run, slope, low, high."""
    found = []
    for run in MEASURED:
        mine = frames.where(rows, run=run).drop_duplicates("tokens", keep="last")  # keep 1 is in its own code's form
        middle, low, high = frames.slope(list(mine["tokens"]), list(mine["seconds"]))
        found.append({"run": run, "slope": middle, "low": low, "high": high})
    return pd.DataFrame(found)


def _against(rows: pd.DataFrame, run: str, other: str, column: str) -> pd.DataFrame:
    kinds = ["variant", "keep"]
    mine, base = (frames.where(rows, run=name).set_index(kinds)[column] for name in (run, other))
    difference = (mine / base - 1).rename("difference")
    if difference.empty or difference.isna().any():
        raise Missing(f"{column}: the runs {run} and {other} are not of the same shares of tokens")
    return difference.reset_index()


def _over_baseline(frame: pd.DataFrame, **columns: str) -> pd.DataFrame:
    base = frame[frame["variant"] == BASELINE].iloc[0]
    return frame.assign(**{ratio: frame[column] / base[column] for ratio, column in columns.items()})
