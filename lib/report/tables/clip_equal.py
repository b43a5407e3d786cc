"""A table of one token reduction against every other one at equal cost."""

import pandas as pd
from IPython.display import Markdown

from lib.names import SMALL_CLIPS
from lib.report import prose
from lib.report.frames.clip_equal import OTHER, OWN, summed
from lib.report.tables import table


def equal(operations: pd.DataFrame, time: pd.DataFrame, caption: str) -> Markdown:
    """Comparisons ahead : level : behind by task and method; at equal operations, and where one takes no more time.

    operations, time   of `lib.report.frames.clip_equal.at_equal`
    """
    columns = {
        "equal operations": operations,
        "no more time for the other": time[time["cheaper"] == OTHER],
        "no more time for itself": time[time["cheaper"] == OWN],
    }
    keys = list(dict.fromkeys(zip(operations["task"], operations["against"], strict=True)))
    made = {"task": [SMALL_CLIPS[task] for task, _ in keys], "against": [other for _, other in keys]}
    for name, frame in columns.items():
        by = {key: rows for key, rows in frame.groupby(["task", "against"])}
        made[name] = [_counts(by.get(key)) for key in keys]
    gains = {key: rows["gained"] for key, rows in columns["no more time for the other"].groupby(["task", "against"])}
    made["gained by time [points]"] = [prose.extent_of_points(gains[key]) if key in gains else "–" for key in keys]
    return table(made, caption)


def _counts(rows: pd.DataFrame | None) -> str:
    if rows is None:
        return "–"
    found = summed(rows)
    return f"{found.ahead} : {found.level} : {found.behind}"
