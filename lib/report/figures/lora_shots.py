"""Figure of few images per class: accuracy by their number, a line per kind of adapter."""

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator, PercentFormatter

from lib.experiments.lora_shots import LABELS, ZERO
from lib.names import SMALL_CLIPS
from lib.report import frames
from lib.report.evidence import Evidence
from lib.report.figures import BASELINE, MARKERS, bars
from lib.report.views.files import naming_files


@naming_files
def by_shots(evidence: Evidence) -> Figure:
    """Accuracy by images per class, a panel per task."""
    tasks = evidence.shot_tasks
    figure, axes = plt.subplots(1, len(tasks), figsize=(4.3 * len(tasks), 3.8), layout="constrained", squeeze=False)
    for ax, task in zip(axes[0], tasks, strict=True):
        accuracy_over_shots(ax, frames.where(evidence.shot_means, task=task, own=True))
    axes[0][0].legend(frameon=False, fontsize="small")
    return figure


def accuracy_over_shots(ax: Axes, frame: pd.DataFrame) -> Axes:
    """Accuracy by images per class, mean and interval, a line per variant, and zero-shot as a line across; one task.

    frame   of `lib.report.frames.lora_shots.means`
    """
    shown = [label for kind, label in LABELS.items() if kind != ZERO]
    for label, marker in zip(shown, MARKERS, strict=False):
        rows = frame[frame["variant"] == label].sort_values("shots")
        ax.errorbar(rows["shots"], rows["accuracy"], yerr=bars(rows, "accuracy"), marker=marker, capsize=2, label=label)
    (zero,) = frame.loc[frame["variant"] == LABELS[ZERO], "accuracy"]
    ax.axhline(zero, **BASELINE, label=LABELS[ZERO])
    numbers = sorted(frame["shots"].unique())
    ax.set_xscale("log", base=2)
    ax.set_xticks(numbers, [f"{number}" for number in numbers])
    ax.xaxis.set_minor_locator(NullLocator())
    ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0, symbol=" %"))
    ax.set(xlabel="images per class", ylabel="accuracy")
    ax.set_title(SMALL_CLIPS[frame["task"].iloc[0]], fontsize="medium")
    return ax
