"""Figure of a Vision Mamba with fewer patches: accuracy by method, a dot per seed."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from lib.experiments.ssm_vlm_runs import WHOLE
from lib.names import SMALL_CLIPS
from lib.report.evidence import Evidence
from lib.report.figures import BASELINE, MARKERS
from lib.report.views.files import naming_files


@naming_files
def fewer(evidence: Evidence) -> Figure:
    """Accuracy without further training by method and share of the patches, a panel per task."""
    tasks = evidence.tower_tasks
    figure, axes = plt.subplots(1, len(tasks), figsize=(6.4 * len(tasks), 4.2), layout="constrained", squeeze=False)
    for ax, task in zip(axes[0], tasks, strict=True):
        accuracy_by_method(ax, evidence.tower_pairs(task))
        ax.set_title(SMALL_CLIPS[task], fontsize="medium")
    return figure


def accuracy_by_method(ax: Axes, rows: pd.DataFrame) -> Axes:
    """A row per method, a mark per seed and share of the patches, and a line at all patches; one task.

    rows   of `lib.experiments.ssm_vlm_training.outcomes`, with fewer patches
    """
    rows = rows[rows["tuned"] == 0]
    whole = rows[rows["variant"] == WHOLE]
    less = rows[rows["variant"] != WHOLE]
    order = less.groupby("variant")["accuracy"].mean().sort_values().index
    for number, keep in enumerate(sorted(less["keep"].unique(), reverse=True)):
        here = less[less["keep"] == keep]
        places = [order.get_loc(label) + 0.16 * (1 - 2 * number) for label in here["variant"]]
        colour = sns.color_palette("colorblind")[number]
        ax.plot(here["accuracy"], places, MARKERS[number], color=colour, alpha=0.8, label=f"{keep:.0%} of the patches")
    ax.axvline(whole["accuracy"].mean(), **BASELINE, label="all patches, mean")
    ax.set_yticks(np.arange(len(order)), list(order))
    ax.xaxis.set_major_formatter(PercentFormatter(1, decimals=0, symbol=" %"))
    ax.set(xlabel="accuracy")
    ax.legend(frameon=False, fontsize="small", loc="best")
    return ax
