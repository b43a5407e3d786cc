"""Tables of towers of transformers: those that are served, and those that are refused."""

import pandas as pd
from IPython.display import Markdown

from lib.experiments.clip_towers import METHODS, REFUSED
from lib.experiments.clip_variants import UNREDUCED
from lib.names import REDUCTIONS
from lib.report import frames, units
from lib.report.evidence import Evidence
from lib.report.tables import table
from lib.report.views.files import naming_files


@naming_files
def served(evidence: Evidence, caption: str) -> Markdown:
    """A row per tower: its sizes, latency, its ratio at half of the tokens, methods that are exact."""
    rows = evidence.towers
    whole = frames.where(rows, variant=UNREDUCED)
    held = {
        "tower": list(whole["tower"]),
        "sizes": [f"{row.layers} × {row.patches} × {row.width}" for row in whole.itertuples()],
        "latency [ms]": [f"{1e3 * row.seconds:,.0f}" for row in whole.itertuples()],
    }
    for method in METHODS:
        label = REDUCTIONS[method].label
        by = frames.where(rows, variant=label).set_index("tower")
        held[label] = [_ratio(by.loc[one]) for one in whole["tower"]]
    held["same bits"] = [_exact(row) for row in whole.itertuples()]
    return table(held, caption)


def refused(caption: str) -> Markdown:
    """A row per reason: packages of transformers whose towers are refused, and why."""
    why: dict[str, list[str]] = {}
    for package, reason in REFUSED.items():
        why.setdefault(reason, []).append(f"`{package}`")
    return table({"tower": [", ".join(some) for some in why.values()], "it": list(why)}, caption)


def _ratio(row: pd.Series) -> str:
    ends = (f"{row[f'latency_ratio_{end}']:.2f}" for end in ("low", "high"))
    return f"{units.times(row['latency_ratio'])} ({'–'.join(ends)})"


def _exact(row) -> str:
    tried = row.same + (row.apart.count(",") + 1 if row.apart else 0)
    return f"{row.same} of {tried}"
