"""Tables of the chapter on state space models: this run's latencies, and the scan against its peers."""

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


def speedups(frame: pd.DataFrame, baseline: str, caption: str) -> Markdown:
    """Latency of every variant in each part of a run, and how many times as long the baseline takes, with quartiles.

    frame  cases with ratios to the baseline; one machine and setting per part
    """
    columns: dict[str, list[str]] = {"variant": list(frame["variant"].unique())}
    for part, group in frame.groupby("part", sort=False):
        rows = group.set_index("variant").loc[columns["variant"]]
        columns[f"{part} [ms]"] = [f"{seconds * 1e3:,.1f}" for seconds in rows["seconds"]]
        columns[f"{baseline} / this, {part}"] = [
            f"{1 / row.latency_ratio:.1f} ({1 / row.latency_ratio_high:.1f} – {1 / row.latency_ratio_low:.1f})"
            for row in rows.itertuples()
        ]
    return table(columns, caption)
