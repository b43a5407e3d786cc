"""From which size of image on a tower is faster than the transformer."""

import numpy as np
import pandas as pd

NEVER = float("inf")  # within the sizes that were timed
QUARTERS = (0.5, 0.25, 0.75)
WITHIN = ("machine", "part", "variant")


def crossings(rows: pd.DataFrame, baseline: str) -> pd.DataFrame:
    """Patches from which on each tower's latency stays below the baseline's: median over rounds, and quartiles.

    Towers were timed in turns, so each round has a ratio at each size, and a crossing: between two sizes a power of
    the number of patches is assumed. The smallest size where the tower is faster at all of them, NEVER where it is
    not at the largest.

    rows   cases of `lib.experiments.ssm_vlm_scaling`
    """
    found = []
    for key, group in rows.dropna(subset="seconds").groupby(list(WITHIN), sort=False):
        machine, part, _ = key
        base = rows[(rows["machine"] == machine) & (rows["part"] == part) & (rows["variant"] == baseline)]
        both = group.merge(base[["patches", "runs"]], on="patches", suffixes=("", "_base")).sort_values("patches")
        rounds = np.stack([row.runs / row.runs_base for row in both.itertuples()], axis=1)  # rounds, sizes
        each = np.array([crossing(both["patches"].to_numpy(), ratios) for ratios in rounds])
        middle, low, high = (np.quantile(each, share, method="nearest") for share in QUARTERS)
        found.append({**dict(zip(WITHIN, key, strict=True)), "crossing": middle, "low": low, "high": high})
    return pd.DataFrame(found)


def crossing(sizes: np.ndarray, ratios: np.ndarray) -> float:
    """The size from which on ratios stay below one.

    sizes   ascending
    """
    above = np.flatnonzero(ratios >= 1)
    if not len(above):
        return float(sizes[0])
    last = above[-1]
    if last == len(sizes) - 1:
        return NEVER
    before, after = np.log(ratios[last]), np.log(ratios[last + 1])
    share = before / (before - after)
    return float(np.exp(np.log(sizes[last]) + share * np.log(sizes[last + 1] / sizes[last])))
