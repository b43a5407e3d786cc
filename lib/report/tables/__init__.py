"""Tables for readers: data frames as Markdown, which the page, the PDF, Colab and GitHub all render."""

import numpy as np
import pandas as pd
from IPython.display import Markdown

from lib.records import machine_title
from lib.report import prose, units


def table(columns: dict[str, pd.Series | list], caption: str) -> Markdown:
    """A table from header -> cells. Headers carry the units; text columns go left, all else right.

    caption  `Table 1. What is shown, on which machine, from which run`; printed above
    """
    frame = pd.DataFrame({header: list(cells) for header, cells in columns.items()})
    sides = ["left" if _is_prose(frame[header]) else "right" for header in frame]
    body = frame.to_markdown(index=False, colalign=sides, disable_numparse=True)
    return Markdown(f"{prose.caption(caption).data}\n\n{body}")


def profile_table(frame: pd.DataFrame, caption: str) -> Markdown:
    """Variant, latency with quartiles, ratios to the baseline, memory and operations of one machine's cases.

    What the host took beside a GPU stands next to it.
    """
    host = {"host [ms]": [or_error(row.host_seconds * 1e3, row, "{:,.1f}") for row in frame.itertuples()]}
    return table(
        {
            "variant": list(frame["variant"]),
            "latency [ms]": [or_error(row.seconds * 1e3, row, "{:,.1f}") for row in frame.itertuples()],
            **(host if frame["host_seconds"].notna().any() else {}),
            "quartiles [ms]": [_range(row.seconds_low, row.seconds_high, 1e3) for row in frame.itertuples()],
            "latency ratio": [or_error(row.latency_ratio, row, "{:.2f}") for row in frame.itertuples()],
            "memory [MiB]": [or_error(row.memory_bytes / 2**20, row, "{:,.1f}") for row in frame.itertuples()],
            "memory ratio": [or_error(row.memory_ratio, row, "{:.2f}") for row in frame.itertuples()],
            "GFLOP": [or_error(row.flops / 1e9, row, "{:,.2f}") for row in frame.itertuples()],
        },
        f"{caption}; ratios are to the baseline",
    )


def compare(
    frame: pd.DataFrame, column: str, caption: str, form: str = "{:.2f}", across: str = "machine", scale: float = 1
) -> Markdown:
    """One column of many cases side by side: a row per variant, a column per machine, or per value of `across`."""
    wide = frame.pivot(index="variant", columns=across, values=column)
    wide = wide.loc[frame["variant"].unique(), frame[across].unique()] * scale
    cells = {f"{name:,}" if isinstance(name, int) else name: wide[name] for name in wide}
    shown = {
        name: ["–" if pd.isna(value) else form.format(value) for value in values] for name, values in cells.items()
    }
    return table({"variant": list(wide.index), **shown}, caption)


def across_machines(frame: pd.DataFrame, caption: str) -> Markdown:
    """Latency ratios on every recorded machine, with quartiles: a row per machine, a column per quantity and the clock.

    frame   columns machine, what, ratio, low, high, clock; the reference machine first
    """
    machines, names = list(frame["machine"].unique()), list(frame["what"].unique())
    cells = {
        (row.machine, row.what): f"{_ratio(row.ratio)} ({_ratio(row.low)} – {_ratio(row.high)})"
        for row in frame.itertuples()
    }
    columns = {name: [cells.get((machine, name), "–") for machine in machines] for name in names}
    by = ["; ".join(frame["clock"][frame["machine"] == machine].dropna().unique()) for machine in machines]
    return table({"machine": machines, **columns, "clock": by}, caption)


def provenance(record, machine: str) -> str:
    """Machine, day and commit of a record, for a caption."""
    code = "unknown commit" if record.commit is None else f"commit {record.commit[:7]}"
    return f"{machine}, {record.recorded_at:%Y-%m-%d}, {code}{' with changes' if record.dirty else ''}"


def sources(records) -> str:
    """Machine, day and commit of several records, each once, for a caption."""
    return units.listed(list(dict.fromkeys(provenance(record, machine_title(record)) for record in records)))


def or_error(value: float, row, form: str) -> str:
    """A cell: the value in this form, or the kind of error of a case that failed; a dash where it has neither."""
    if pd.isna(value):
        return "–" if pd.isna(row.error) else str(row.error).split(":")[0]
    return form.format(value)


def _ratio(value: float) -> str:
    """Two decimals; two figures where that would leave one or none."""
    return (
        f"{value:.2f}"
        if pd.isna(value) or value >= 0.1
        else np.format_float_positional(float(f"{value:.1e}"), trim="-")
    )


def _range(low: float, high: float, scale: float) -> str:
    return "–" if pd.isna(low) else f"{low * scale:,.1f} – {high * scale:,.1f}"


def _is_prose(cells: pd.Series) -> bool:
    """Words, not figures: no cell starts with a digit, a sign or a dash."""
    return not any(str(cell).lstrip("+−-–[* ")[:1].isdigit() for cell in cells)
