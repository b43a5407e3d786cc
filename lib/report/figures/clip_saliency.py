"""Figure of token reductions on the pretrained vision transformer: maps kept against answers lost."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lib.report import frames
from lib.report.evidence import Evidence
from lib.report.figures import MARKERS
from lib.report.views.files import naming_files


@naming_files
def maps_and_answers(evidence: Evidence) -> Figure:
    """Correlation of maps and points lost by the probe, a panel per share of the operations."""
    targets = evidence.saliency_targets
    figure, axes = plt.subplots(1, len(targets), figsize=(8.6, 4.2), layout="constrained", sharey=True)
    means = evidence.saliency_means.dropna(subset="lost")
    order = list(means.groupby("variant")["correlation"].mean().sort_values(ascending=False).index)
    for ax, target in zip(axes, targets, strict=True):
        kept_and_lost(ax, frames.where(means, target=target), order)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, frameon=False, fontsize="small", loc="outside lower center", ncols=4)
    return figure


def kept_and_lost(ax: Axes, frame: pd.DataFrame, order: Sequence[str]) -> Axes:
    """Points that the probe loses over the correlation of maps, a marker per method, with intervals.

    frame   of `lib.report.frames.clip_saliency.means`, at one share of the operations
    order   of the methods, by which each has its marker and colour
    """
    for row in sorted(frame.itertuples(), key=lambda one: order.index(one.variant)):
        number = order.index(row.variant)
        across = [[row.correlation - row.correlation_low], [row.correlation_high - row.correlation]]
        up = [[100 * (row.lost - row.lost_low)], [100 * (row.lost_high - row.lost)]]
        style = {
            "marker": MARKERS[number % len(MARKERS)],
            "color": f"C{number % 10}",
            "capsize": 2,
            "linestyle": "none",
        }
        ax.errorbar([row.correlation], [100 * row.lost], xerr=across, yerr=up, label=row.variant, **style)
    ax.set(xlabel="correlation of saliency maps", ylabel="points lost by the probe", xlim=(None, 1.0))
    ax.invert_yaxis()
    ax.set_title(f"at most {frame['target'].iloc[0]:g} of the operations", fontsize="medium")
    return ax
