"""Key picture on state space models that see: latency relative to the transformer's while the image grows."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, NullLocator

from lib import names
from lib.experiments.ssm_vlm_scaling import TRANSFORMER
from lib.report import frames, units
from lib.report.evidence import Evidence
from lib.report.figures import BASELINE, MARKERS
from lib.report.figures.keys.looks import OTHERS, OURS, legend

CAPTION = "An image tower of state space blocks beside CLIP's transformer of as many parameters, while the image grows."
DRAWN = {  # tower -> colour
    "vision_mamba": OURS,
    "low_rate": "C2",
    "s4nd": OTHERS,
}
TICKS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20)


def rows(evidence: Evidence) -> pd.DataFrame:
    """Towers that are drawn, on every size of image, forward."""
    labels = [names.TOWERS[name].label for name in DRAWN]
    found = evidence.growing_forward
    return found[found["variant"].isin(labels)].sort_values("patches")


def draw(ax: Axes, rows: pd.DataFrame) -> Axes:
    """A line per tower on log axes, the transformer as the level of one."""
    ax.axhline(1, **BASELINE)
    for (name, colour), marker in zip(DRAWN.items(), MARKERS, strict=False):
        group = frames.where(rows, variant=names.TOWERS[name].label)
        ax.plot(group["patches"], group["latency_ratio"], marker=marker, color=colour, label=names.TOWERS[name].label)
    ax.set(xscale="log", yscale="log", xlabel="patches of the image", ylabel=f"time / {TRANSFORMER}'s")
    sizes = sorted(rows["patches"].unique())
    ax.set_xticks(sizes, [f"{size:,}" for size in sizes], rotation=25)
    ax.xaxis.set_minor_locator(NullLocator())
    low, high = rows["latency_ratio"].min(), rows["latency_ratio"].max()
    ax.set_yticks([tick for tick in TICKS if low / 2 <= tick <= 2 * high])
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}×"))
    ax.yaxis.set_minor_locator(NullLocator())
    legend(ax, ax.get_legend_handles_labels()[0], above=True)
    return ax


def said(rows: pd.DataFrame) -> str:
    """What is drawn, the smallest image and the largest."""
    found = []
    for name in DRAWN:
        group = frames.where(rows, variant=names.TOWERS[name].label)
        ends = " to ".join(units.times(group["latency_ratio"].iloc[place]) for place in (0, -1))
        found.append(f"{names.TOWERS[name].label} {ends}")
    least, most = rows["patches"].min(), rows["patches"].max()
    ends = f"from {least:,} to {most:,} patches"
    return f"Time of a forward pass relative to the {TRANSFORMER}'s, {ends}: {'; '.join(found)}."
