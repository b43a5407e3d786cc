"""Tables of the chapter on state space models that see."""

import pandas as pd
from IPython.display import Markdown

from lib import names
from lib.experiments.ssm_vlm_scaling import FORWARD, TRANSFORMER
from lib.report.frames import where
from lib.report.frames.ssm_vlm import NEVER
from lib.report.tables import compare, or_error, table


def towers(recorded: pd.DataFrame, caption: str) -> Markdown:
    """Every tower: what its blocks do, how many there are, and their parameters.

    recorded   cases of one machine; a tower that is not among them has dashes
    """
    first, rows = recorded.drop_duplicates("variant").set_index("variant"), names.TOWERS.values()
    sizes = [first.loc[row.label] if row.label in first.index else None for row in rows]
    return table(
        {
            "tower": [row.label for row in rows],
            "its blocks": [row.about for row in rows],
            "blocks": ["–" if one is None else f"{one['blocks']:.0f}" for one in sizes],
            "parameters": ["–" if one is None else f"{one['parameters']:,.0f}" for one in sizes],
        },
        caption,
    )


def latencies(rows: pd.DataFrame, caption: str) -> Markdown:
    """Median latency [ms] of a forward pass by number of patches; of one machine."""
    return compare(where(rows, part=FORWARD), "seconds", caption, "{:,.1f}", "patches", 1e3)


def relative(rows: pd.DataFrame, crossings: pd.DataFrame, caption: str) -> Markdown:
    """Latency ratios by number of patches, and from which one on a tower is faster.

    rows        cases of one part with ratios to the transformer
    crossings   of `lib.report.frames.ssm_vlm`, of the same part
    """
    first = rows.drop_duplicates("variant").set_index("variant")
    at = crossings.set_index("variant")
    columns: dict[str, list] = {"tower": list(first.index)}
    for patches, group in rows.groupby("patches"):
        by = {row.variant: row for row in group.itertuples()}
        columns[f"{patches:,}"] = [_ratio(by.get(label)) for label in first.index]
    columns["faster from"] = [_from(at.loc[label]) if label in at.index else "–" for label in first.index]
    return table(columns, caption)


def _ratio(row) -> str:
    if row is None:
        return "–"
    return "1×" if row.variant == TRANSFORMER else or_error(row.latency_ratio, row, "{:.2f}×")


def _from(row: pd.Series) -> str:
    """Patches from which on a tower is faster, with quartiles; a dash for what is not, within those timed."""
    if row["crossing"] == NEVER:
        return "–"
    high = f"{row['high']:,.0f}" if row["high"] < NEVER else "beyond"
    return f"{row['crossing']:,.0f} ({row['low']:,.0f} – {high})"
