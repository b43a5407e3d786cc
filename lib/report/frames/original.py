"""The original report's tables in base units, with ratios to their own baselines; all of one T4 GPU."""

import pandas as pd

from lib.paths import ORIGINAL, in_repository
from lib.report.frames import MIB

MACHINE = "original report, T4"


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
    table = pd.read_csv(in_repository(ORIGINAL / "vtp.csv"))
    frame = pd.DataFrame(
        {
            "machine": MACHINE,
            "variant": table["variant"],
            "keep": table["keep"],
            "seconds": table["latency_ms"] / 1e3,
            "throughput": table["throughput_img_per_s"],
            "memory_bytes": table["peak_memory_mib"] * MIB,
        }
    )
    return _over_baseline(frame, latency_ratio="seconds", memory_ratio="memory_bytes")


def _over_baseline(frame: pd.DataFrame, **columns: str) -> pd.DataFrame:
    base = frame[frame["variant"] == "baseline"].iloc[0]
    return frame.assign(**{ratio: frame[column] / base[column] for ratio, column in columns.items()})
