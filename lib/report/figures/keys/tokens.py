"""Key picture on CLIP's visual tokens: accuracy retained over measured time, on photographs."""

import pandas as pd
from matplotlib.axes import Axes

from lib.experiments.clip_variants import NORM, RANDOM, ROUNDS, TOME_CONSTANT
from lib.report import frames, units
from lib.report.evidence import Evidence
from lib.report.figures import BASELINE, MARKERS
from lib.report.figures.keys.looks import COLOURS, as_percent, as_times, legend

CAPTION = "Fewer visual tokens of a small CLIP, on CIFAR-10, by measured time."
TASK = "cifar10"
SHOWN = (ROUNDS, TOME_CONSTANT, RANDOM, NORM)


def rows(evidence: Evidence) -> pd.DataFrame:
    """Accuracy retained and time of some reductions, over all shares of the operations."""
    every = frames.where(evidence.clip_by_ratio, task=TASK).dropna(subset="latency_ratio")
    return pd.concat(frames.where(every, variant=name).sort_values("latency_ratio") for name in SHOWN)


def draw(ax: Axes, rows: pd.DataFrame) -> Axes:
    """Share of the accuracy over time, a line per reduction, intervals as bands."""
    ax.axhline(1, **BASELINE)
    for number, (name, group) in enumerate(rows.groupby("variant", sort=False)):
        across, style = group["latency_ratio"], {"color": COLOURS[number]}
        ax.plot(across, group["retained"], marker=MARKERS[number], markersize=5, label=name, **style)
        ax.fill_between(across, group["retained_low"], group["retained_high"], alpha=0.12, linewidth=0, **style)
    as_times(ax.xaxis)
    as_percent(ax.yaxis)
    ax.set(xlabel="time / unreduced tower's time", ylabel="accuracy retained")
    legend(ax)
    return ax


def said(rows: pd.DataFrame) -> str:
    """What is drawn: each line's two ends."""
    found = []
    for name, group in rows.groupby("variant", sort=False):
        least, most = (group.iloc[place] for place in (0, -1))
        ends = [f"{units.share(one['retained'])} in {units.times(one['latency_ratio'])}" for one in (most, least)]
        found.append(f"{name}, {' to '.join(ends)}")
    return f"Share of the accuracy retained and time relative to the unreduced tower's: {'; '.join(found)}."
