"""Figures of compared distillations: accuracy against the order kept, before and after fine-tuning."""

from itertools import product

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lib.experiments.distill_compared import IN_TRAINING, LABELS, SCRATCH
from lib.report import frames
from lib.report.evidence import Evidence
from lib.report.figures import BASELINE, MARKERS
from lib.report.figures.distill import _log, _one_legend
from lib.report.views.files import naming_files

NAMES = tuple(dict.fromkeys(LABELS.values()))  # one colour and marker each, in all panels
WHOLE = (SCRATCH, IN_TRAINING)  # trained from the start: nothing to fine-tune


@naming_files
def accuracies(evidence: Evidence) -> Figure:
    """Accuracy against the order, a row per task and a column per bank."""
    rows, whole = evidence.bank_quality, evidence.bank_originals
    tasks, banks = (list(whole[name].unique()) for name in ("task", "bank"))
    size = (8.6, 1.8 + 2.7 * len(tasks))
    figure, axes = plt.subplots(len(tasks), len(banks), figsize=size, layout="constrained", squeeze=False, sharey="row")
    for ax, (task, bank) in zip(axes.flat, product(tasks, banks), strict=True):
        at = {"task": task, "bank": bank}
        seeds = frames.where(whole, **at)["accuracy"]
        accuracy_over_order(ax, frames.where(rows, **at), seeds, f"{bank}, {task.split(',')[0]}")
        ax.label_outer()
    _one_legend(figure, axes.flat, ncols=2)
    return figure


def accuracy_over_order(ax: Axes, frame: pd.DataFrame, original: pd.Series, title: str) -> Axes:
    """Accuracy [%] against the order, a line of means per variant; seeds as dots after fine-tuning.

    Before fine-tuning lines are dotted and open; what was small from the start or compressed in training is never
    fine-tuned.

    frame      of `lib.report.views.distill_compared`: columns variant, order, healed, accuracy, values (by seed)
    original   accuracies by seed: a band from the lowest to the highest, and a line at their mean
    """
    colours = sns.color_palette("colorblind", len(NAMES))
    ax.axhspan(100 * original.min(), 100 * original.max(), color="0.9", zorder=0)
    ax.axhline(100 * original.mean(), **BASELINE)
    for (variant, healed), group in frame.groupby(["variant", "healed"], sort=False):
        number, group = NAMES.index(variant), group.sort_values("order")
        done = bool(healed) or variant in WHOLE
        look = {"color": colours[number], "marker": MARKERS[number % len(MARKERS)], "markersize": 5}
        look |= {"linestyle": "-" if done else ":", "markerfacecolor": colours[number] if done else "none"}
        said = variant if done else f"{variant}, before fine-tuning"
        ax.plot(group["order"], 100 * group["accuracy"], **look, label=said)
        if done:
            for row in group.itertuples():
                ax.plot([row.order] * len(row.values), 100 * row.values, ".", color=colours[number], markersize=3)
    whole = frame[frame["variant"] != IN_TRAINING]  # whose order is a mean, and no tick
    _log(ax, whole if len(whole) else frame, "order", "states, or rank, kept")
    ax.set_ylabel("accuracy [%]")
    ax.set_title(title, fontsize="medium")
    return ax
