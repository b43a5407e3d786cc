"""Key picture on state space models: the same selective scan by several implementations."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from lib.names import BACKENDS
from lib.report import frames, units
from lib.report.evidence import Evidence
from lib.report.figures import BASELINE
from lib.report.figures.keys.looks import OTHERS, OURS, as_times, legend

CAPTION = "The same selective scan by several implementations, on the reference machine."
LABELS = {"cpp": "this book, C++", "cuda": "this book, CUDA", "torch": "this book, torch"}
FORWARD, TRAINING = "forward", "training"


def rows(evidence: Evidence) -> pd.DataFrame:
    """Implementations: label, ours, and time relative to the fastest peer's, forward and training."""
    here = frames.where(evidence.peers, machine=evidence.title)
    here = here[here["part"].isin([FORWARD, TRAINING])]
    found = here.pivot_table(index="variant", columns="part", values="latency_ratio")
    found = found.sort_values(FORWARD, ascending=False).reset_index()
    names = found["variant"]
    return found.assign(ours=names.isin(list(BACKENDS)), label=[LABELS.get(name, name) for name in names])


def draw(ax: Axes, rows: pd.DataFrame) -> Axes:
    """Forward passes filled and training steps hollow on a log axis, a line per implementation."""
    ax.axvline(1, **BASELINE)
    for height, row in enumerate(rows.itertuples()):
        colour = OURS if row.ours else OTHERS
        ax.plot([row.forward, row.training], [height] * 2, color=colour, linewidth=1.2)
        ax.plot(row.forward, height, "o", color=colour, markersize=8)
        ax.plot(row.training, height, "s", color=colour, markersize=7, fillstyle="none")
    ax.set_xscale("log")
    as_times(ax.xaxis)
    ax.set_yticks(range(len(rows)), [label.replace(", ", ",\n") for label in rows["label"]])
    ax.set_xlabel("time / fastest other scan's time")
    common = {"linestyle": "none", "color": "0.3", "markersize": 7}
    filled = Line2D([], [], marker="o", label="forward", **common)
    hollow = Line2D([], [], marker="s", fillstyle="none", label="training", **common)
    legend(ax, [filled, hollow], above=True)
    return ax


def said(rows: pd.DataFrame) -> str:
    """What is drawn, the fastest first."""
    found = []
    for row in rows[::-1].itertuples():
        training = f" and {units.times(row.training)}" if pd.notna(row.training) else ""
        found.append(f"{row.label} {units.times(row.forward)}{training}")
    return f"Time of a selective scan relative to the fastest other one, forward and training: {'; '.join(found)}."
