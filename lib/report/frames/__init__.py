"""Frames of cases (`lib.experiments`): ratios to a named baseline, growth, and single cases.

Columns in base units: seconds, memory_bytes (the input and the peak above it), flops. A ratio of latency is
formed round by round, since the variants were timed in turns; its median and quartiles follow.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import stats

from lib.experiments.base import quartiles

MIB = 2**20
Values = Sequence[float] | np.ndarray | pd.Series  # numbers in a row; a column of a frame is no Sequence


class Missing(LookupError):
    """What is needed is not recorded, or was not computed: nothing can be decided by it.

    files   in which it was looked for, as words that end the message; none are needed where it is empty
    """

    files: str | None = None

    def __str__(self) -> str:
        return f"{super().__str__()} ({self.files})" if self.files else super().__str__()

    def _render_traceback_(self) -> list[str]:
        """Jupyter shows the message without a traceback."""
        return [f"Missing: {self}"]


def ratios(
    frame: pd.DataFrame, baseline: str = "baseline", within: tuple[str, ...] = ("machine", "batch", "length")
) -> pd.DataFrame:
    """Add ratios to the baseline of the same group: latency with quartiles, memory, operations.

    within  columns that a variant and its baseline have in common
    raises  Missing, naming the group, where it holds no baseline; ValueError where it holds several
    """
    groups = []
    for key, group in frame.groupby(list(within), sort=False):
        found = group[group["variant"] == baseline]
        if len(found) != 1:
            kind = ValueError if len(found) else Missing
            raise kind(f"{dict(zip(within, key, strict=True))}: {len(found)} cases named {baseline!r}, 1 is needed")
        base = found.iloc[0]
        quotients = [_quotient(runs, base["runs"]) for runs in group["runs"]]
        groups.append(
            group.assign(
                **pd.DataFrame([quartiles("latency_ratio", values) for values in quotients], index=group.index),
                memory_ratio=group["memory_bytes"] / base["memory_bytes"],
                flops_ratio=group["flops"] / base["flops"],
            )
        )
    return pd.concat(groups)


def where(frame: pd.DataFrame, **values: object) -> pd.DataFrame:
    """The cases whose columns have these values; a column that is unknown in a case has none."""
    # An unknown value of a nullable column compares as unknown, which `all` would count as true.
    return frame[(frame[list(values)] == pd.Series(values)).fillna(False).all(axis="columns")]


def only(frame: pd.DataFrame, **values: object) -> pd.Series:
    """The one case whose columns have these values.

    raises  Missing, quoting them, where there is none; ValueError where there are more
    """
    found = where(frame, **values)
    if len(found) != 1:
        kind = ValueError if len(found) else Missing
        raise kind(f"{values}: {len(found)} cases, 1 is needed")
    return found.iloc[0]


def slope(sizes: Values, costs: Values, confidence: float = 0.95) -> tuple[float, float, float]:
    """Exponent of a cost in a size: the slope of log cost over log size, and its interval.

    returns  slope, low, high; the interval is Student's, from the residuals of a straight line
    raises   Missing for fewer than three sizes, and for what is not above 0
    """
    if len(sizes) < 3:
        raise Missing(f"{len(sizes)} sizes: a slope with an interval needs at least 3")
    if not (np.greater(sizes, 0).all() and np.greater(costs, 0).all()):
        raise Missing(f"sizes {list(sizes)}, costs {list(costs)}: an exponent needs both above 0")
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
    if len(runs) and len(base) and len(runs) != len(base):  # of one it would be divided in silence
        raise ValueError(f"{len(runs)} timed runs beside the baseline's {len(base)}: they were not timed in turns")
    return runs / base if len(runs) and len(base) else np.array([])
