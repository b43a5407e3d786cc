"""Tables of the chapter on state space models: this run's latencies, and the scan against its peers."""

import numpy as np
import pandas as pd
from IPython.display import Markdown

from lib.experiments import ssm_scaling
from lib.report.frames import where
from lib.report.tables import compare, table


def latencies(frame: pd.DataFrame, caption: str) -> Markdown:
    """Median latency [ms] of every mixer by length.

    frame   cases of token mixing, of one machine
    """
    return compare(where(frame, part=ssm_scaling.LENGTHS), "seconds", caption, "{:,.2f}", "length", 1e3)


def worked(tokens: str, steps: list[float], states: list[float], caption: str) -> Markdown:
    """A token in each row: its step size, what is kept of the state, and the state after it."""
    kept = [f"{np.exp(-step):.2f}" for step in steps]
    columns = {"token": [*tokens], "step size Δ": [f"{step:.2f}" for step in steps], "kept, exp(−Δ)": kept}
    return table(columns | {"state h": [f"{state:.2f}" for state in states]}, caption)


def speedups(frame: pd.DataFrame, baseline: str, caption: str) -> Markdown:
    """Latency of every variant in each part of a run, and how many times as long the baseline takes, with quartiles.

    frame  cases with ratios to the baseline; one machine and setting per part; not every variant need be in each
    """
    columns: dict[str, list[str]] = {"variant": list(frame["variant"].unique())}
    for part, group in frame.groupby("part", sort=False):
        rows = {row.variant: row for row in group.itertuples()}
        cells = [_cells(rows.get(variant)) for variant in columns["variant"]]
        columns[f"{part} [ms]"], columns[f"{baseline} / this, {part}"] = ([*one] for one in zip(*cells, strict=True))
    return table(columns, caption)


def _cells(row) -> tuple[str, str]:
    """Milliseconds, and how many times as long the baseline takes; dashes for what was not timed in a part."""
    if row is None:
        return "–", "–"
    middle, low, high = (_times(one) for one in (row.latency_ratio, row.latency_ratio_high, row.latency_ratio_low))
    return f"{row.seconds * 1e3:,.1f}", f"{middle} ({low} – {high})"


def _times(ratio: float) -> str:
    """One decimal; two for what is slower than the baseline."""
    return f"{1 / ratio:.{1 if ratio < 1.05 else 2}f}"
