"""Figures of fewer states in a trained Mamba: what is kept and what it costs, against the number of states K."""

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lib.experiments import distill_states as states
from lib.report import frames
from lib.report.evidence import Evidence
from lib.report.figures import BASELINE, MARKERS, bars
from lib.report.figures.distill import _log, _one_legend
from lib.report.views.distill_states import COSTS, CRITERIA, RECALL, SMALL, TRAINED_ON
from lib.report.views.files import naming_files

NAMES = (*CRITERIA, SMALL)  # one colour and marker each, in all panels
MEASURES = {"accuracy": (100, "accuracy [%]"), "test_loss": (1, "test loss [nats]")}
TITLES = {
    states.SCAN: "scan, forward",
    states.SCAN_TRAINING: "scan, training",
    states.FORWARD: "model, forward",
    states.TRAINING: "model, training",
    states.STREAMED: "model, streamed",
}


@naming_files
def kept(evidence: Evidence) -> Figure:
    """Accuracy, and of tasks without recall the loss, against K: a panel per task."""
    rows = evidence.state_seeds
    tasks = list(rows["task"].unique())
    size = (8.6, 4.4)
    figure, axes = plt.subplots(1, len(tasks), figsize=size, layout="constrained", squeeze=False)
    for ax, task in zip(axes.flat, tasks, strict=True):
        measure = "accuracy" if task in RECALL else "test_loss"
        kept_over_states(ax, frames.where(rows, task=task), measure, task)
    _one_legend(figure, axes.flat, ncols=3)
    return figure


@naming_files
def costs(evidence: Evidence) -> Figure:
    """Time against K relative to all states, of the larger models, with the scan's floor; the state's bytes beside."""
    rows = evidence.state_costs
    rows = frames.where(rows, dim=rows["dim"].max())
    figure, axes = plt.subplots(1, len(COSTS), figsize=(8.6, 3.4), layout="constrained", sharey=True)
    for ax, part in zip(axes, COSTS, strict=True):
        time_over_states(ax, frames.where(rows, part=part), TITLES[part])
        ax.label_outer()
    _one_legend(figure, axes, ncols=4)
    return figure


def kept_over_states(ax: Axes, frame: pd.DataFrame, measure: str, title: str) -> Axes:
    """A measure against K, a line of means per criterion; seeds as dots of what was fine-tuned or trained.

    Before fine-tuning lines are dotted and open; dashed across, the original; dash-dotted, the original trained on.

    frame    of `Views.state_seeds`, one task
    measure  of MEASURES
    """
    colours = sns.color_palette("colorblind", len(NAMES))
    scale, words = MEASURES[measure]
    for variant, dash in ((states.ORIGINAL, "--"), (TRAINED_ON, "-.")):
        mean = frames.where(frame, variant=variant)[measure].mean()
        ax.axhline(scale * mean, **{**BASELINE, "linestyle": dash}, label=variant)
    made = frame[frame["variant"].isin(NAMES)]
    for (variant, healed), group in made.groupby(["variant", "healed"], sort=False):
        number, means = NAMES.index(variant), scale * group.groupby("order")[measure].mean()
        done = bool(healed) or variant == SMALL
        look = {"color": colours[number], "marker": MARKERS[number % len(MARKERS)], "markersize": 5}
        look |= {"linestyle": "-" if done else ":", "markerfacecolor": colours[number] if done else "none"}
        ax.plot(means.index, means, **look, label=variant if done else f"{variant}, before fine-tuning")
        if done:
            ax.plot(group["order"], scale * group[measure], ".", color=colours[number], markersize=3)
    _log(ax, made, "order", "states kept K")
    ax.set_ylabel(words)
    ax.set_title(title, fontsize="medium")
    return ax


def time_over_states(ax: Axes, frame: pd.DataFrame, title: str) -> Axes:
    """Time relative to all states against K, median and quartiles; the floor where there is one, and the state's bytes.

    frame   of `Views.state_costs`, one part and size
    """
    frame = frame.sort_values("states")
    look = {"marker": MARKERS[0], "color": "C0", "capsize": 2}
    ax.errorbar(frame["states"], frame["latency_ratio"], yerr=bars(frame, "latency_ratio"), **look, label="time")
    if frame["floor"].notna().all():
        ax.plot(frame["states"], frame["floor"], color="0.3", linestyle="--", label="floor of the scan")
    ax.plot(frame["states"], frame["state_ratio"], color="C1", linestyle=":", marker=MARKERS[1], label="state's bytes")
    _log(ax, frame, "states", "states kept K")
    ax.set(ylabel="relative to all states", ylim=(0, None))
    ax.set_title(title, fontsize="medium")
    return ax
