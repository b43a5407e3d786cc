"""Figure of what learning a few numbers adds to a token reduction."""

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lib.experiments.clip_learned_runs import BY_IMAGE, ONE, TOKEN
from lib.experiments.clip_variants import CLASS_ATTENTION, NORM, SUMMARY
from lib.report import frames
from lib.report.evidence import Evidence
from lib.report.figures import BASELINE, MARKERS
from lib.report.views.files import naming_files

PAIRS = {  # what is shown, by variant and control
    (TOKEN, NORM): "learned token, against none",
    (TOKEN, SUMMARY): "learned token, against the mean",
    (BY_IMAGE, ONE): "threshold per image, against one for all",
    (BY_IMAGE, CLASS_ATTENTION): "threshold per image, against a fixed number",
}
APART = 0.012  # of the shares kept, between the points of one share


@naming_files
def added(evidence: Evidence) -> Figure:
    """Points of accuracy gained by what is learned, by the share of patches kept, a panel per task."""
    gains = evidence.learned_gains
    tasks = list(gains["task"].unique())
    figure, axes = plt.subplots(
        1, len(tasks), figsize=(4.3 * len(tasks), 3.9), layout="constrained", squeeze=False, sharey=True
    )
    for ax, task in zip(axes[0], tasks, strict=True):
        gained(ax, frames.where(gains, task=task))
        ax.set_title(task, fontsize="medium")
    handles, labels = axes[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, frameon=False, fontsize="small", loc="outside lower center", ncols=2)
    return figure


def gained(ax: Axes, frame: pd.DataFrame) -> Axes:
    """Differences with their intervals over the share of patches kept, a marker per comparison; one task.

    frame   of `lib.report.frames.clip_learned.gains`
    """
    for number, ((variant, other), label) in enumerate(PAIRS.items()):
        rows = frames.where(frame, variant=variant, against=other).sort_values("keep")
        ends = [
            100 * (rows["difference"] - rows["difference_low"]),
            100 * (rows["difference_high"] - rows["difference"]),
        ]
        at = rows["keep"] + APART * (number - (len(PAIRS) - 1) / 2)
        ax.errorbar(
            at, 100 * rows["difference"], yerr=ends, marker=MARKERS[number], capsize=2, linestyle="none", label=label
        )
    ax.axhline(0, **BASELINE)
    ax.set_xticks(sorted(frame["keep"].unique()))
    ax.set(xlabel="share of patches kept", ylabel="points of accuracy gained")
    return ax
