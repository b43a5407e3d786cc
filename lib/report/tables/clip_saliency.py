"""Table of token reductions on the pretrained vision transformer."""

import pandas as pd
from IPython.display import Markdown

from lib.report import prose
from lib.report.evidence import Evidence
from lib.report.tables import table
from lib.report.views.files import naming_files


@naming_files
def methods_table(evidence: Evidence, caption: str) -> Markdown:
    """A row per method and share of the operations: correlation of maps, points that the probe loses, two layers."""
    rows = evidence.saliency_means.sort_values(["target", "correlation"], ascending=False)
    held = {
        "operations": [f"{row.ratio:.2f}×" if row.ratio else "none" for row in rows.itertuples()],
        "method": list(rows["variant"]),
        "correlation of maps": [f"{row.correlation:.3f}" for row in rows.itertuples()],
        "95 %": [f"{row.correlation_low:.3f} – {row.correlation_high:.3f}" for row in rows.itertuples()],
        "points lost": [_points(row, "lost") for row in rows.itertuples()],
        "after the last layer": [_points(row, "lost_last") for row in rows.itertuples()],
    }
    return table(held, f"{caption}. Intervals: bootstrap over images")


def _points(row, name: str) -> str:
    mean, low, high = (getattr(row, f"{name}{end}") for end in ("", "_low", "_high"))
    return "–" if pd.isna(mean) else prose.around(mean, low, high, "+")
