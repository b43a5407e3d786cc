"""Figures of the fair comparison: quality against cost, losses over time, accuracies over length, learned gates."""

from collections.abc import Callable, Sequence
from math import log

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter, NullLocator

from lib.experiments.mrss_fair import STEPS, TIME
from lib.experiments.mrss_plans import BASELINE as BASE
from lib.report import frames
from lib.report.evidence import Evidence
from lib.report.figures import BASELINE, mrss_gates
from lib.report.frames import MIB, Values
from lib.report.frames.mrss_bars import is_control
from lib.report.frames.mrss_compared import TOKENS, asks, is_text
from lib.report.views.files import naming_files

COSTS = {"training_seconds": "training [s], one thread", "memory_mib": "peak memory of a step [MiB]"}
KINDS = ("baseline", "low", "hybrid", "patches and stems", "other forms")
LOOKS = dict(zip(KINDS, zip("osD^v", ("-", "--", "-.", ":", (0, (3, 1, 1, 1, 1, 1))), strict=True), strict=True))
DECADE = 10  # of a log axis: within one the ticks between powers of ten are labelled, over more there is no room
GAP = 0.055  # between direct labels, as a share of the axis


@naming_files
def frontier(evidence: Evidence) -> Figure:
    """Loss or accuracy against measured training time and against memory: a row of two panels a task."""
    found, references = evidence.fair_results, evidence.fair_references
    tasks = list(found["task"].unique())
    figure, axes = plt.subplots(
        len(tasks), 2, figsize=(9.6, 3.2 * len(tasks)), layout="constrained", squeeze=False, sharey="row"
    )
    for row, task in zip(axes, tasks, strict=True):
        for ax, cost in zip(row, COSTS, strict=True):
            against(ax, frames.where(found, task=task), frames.where(references, task=task), cost)
    handles = {label: handle for ax in axes.flat for handle, label in zip(*ax.get_legend_handles_labels(), strict=True)}
    figure.legend(handles.values(), handles, loc="outside lower center", ncols=5, frameon=False)
    return figure


@naming_files
def losses_over_time(evidence: Evidence) -> Figure:
    """Held-back losses over measured training time, a panel a task."""
    return _panels(evidence.fair_curves, over_time)


@naming_files
def accuracies_by_length(evidence: Evidence) -> Figure:
    """Accuracies on sequences of other lengths than those of training, a panel a task."""
    return _panels(evidence.fair_lengths, by_length)


@naming_files
def gates_used(evidence: Evidence) -> Figure:
    """A signal, and what the learned gates of each form computed of it."""
    return mrss_gates.uses(evidence.gates_signal, evidence.gates_used)


@naming_files
def gates_latency(evidence: Evidence) -> Figure:
    """Latency with gates as learned, all open and all closed."""
    figure, ax = plt.subplots(figsize=(6.4, 3.8), layout="constrained")
    mrss_gates.latency(ax, evidence.gates_timed)
    return figure


def against(ax: Axes, frame: pd.DataFrame, references: pd.DataFrame, cost: str) -> Axes:
    """Loss or accuracy against a cost, a point a model: filled after equal steps, hollow after equal time; one task.

    frame        of `lib.report.frames.mrss_compared.results`
    references   of one task: variant, accuracy, loss; a dotted line each
    cost         one of COSTS
    """
    task = frame["task"].iloc[0]
    column, what, scale = quality(task)
    rows = frame.assign(
        training_seconds=frame["steps"] * frame["step_seconds"],
        memory_mib=frame["step_bytes"] / MIB,
        shown=frame[column] * scale,
    ).dropna(subset=["shown", cost])
    colours = dict(zip(KINDS, sns.color_palette("colorblind"), strict=False))
    for kind, group in rows.groupby(rows["variant"].map(kind_of), sort=False):
        for budget, fill in ((STEPS, colours[kind]), (TIME, "none")):
            of = group[group["budget"] == budget]
            look = {"marker": LOOKS[kind][0], "edgecolors": [colours[kind]], "facecolors": [fill], "zorder": 3}
            ax.scatter(of[cost], of["shown"], label=kind if budget == STEPS else None, **look)
    base = frames.where(rows, variant=BASE, budget=STEPS)
    ax.axhline(base["shown"].iloc[0], **BASELINE)
    for row in references.itertuples():
        if pd.notna(value := getattr(row, column)):
            ax.axhline(scale * value, color="0.6", linestyle=":", linewidth=1, zorder=1)
            note = {"xycoords": ("axes fraction", "data"), "fontsize": "x-small", "color": "0.35", "va": "bottom"}
            ax.annotate(row.variant, (0.01, scale * value), **note)
    ax.set(xlim=(0, None), xlabel=COSTS[cost], ylabel=what)
    ax.set_title(task, fontsize="medium")
    last = rows[rows["budget"] == STEPS]
    label_beside(ax, last["variant"], last[cost], last["shown"])
    return ax


def over_time(ax: Axes, frame: pd.DataFrame) -> Axes:
    """Held-back loss [nats] over measured training time [s], the mean of seeds; one task and machine.

    Of each variant the training in equal time is drawn, where it has one.

    frame   of `lib.report.frames.mrss_compared.over_time`
    """
    colours = dict(zip(KINDS, sns.color_palette("colorblind"), strict=False))
    ends = []
    for variant, rows in frame.groupby("variant", sort=False):
        rows = rows[rows["budget"] == TIME] if (rows["budget"] == TIME).any() else rows
        mean, kind = rows.groupby("seconds")["loss"].mean(), kind_of(variant)
        ax.plot(mean.index, mean, linestyle=LOOKS[kind][1], color=colours[kind], linewidth=1, label=variant)
        ends.append((variant, mean.index[-1], mean.iloc[-1]))
    ax.set(xlabel="training [s], steps × a measured step", ylabel="held-back loss [nats]", yscale="log")
    low, high = ax.get_ylim()
    plain = FuncFormatter(lambda value, _: f"{value:g}")
    ax.yaxis.set_major_formatter(plain)
    ax.yaxis.set_minor_formatter(NullFormatter() if high > DECADE * low else plain)
    ax.set_title(frame["task"].iloc[0], fontsize="medium")
    label_beside(ax, *zip(*ends, strict=True))
    return ax


def by_length(ax: Axes, frame: pd.DataFrame) -> Axes:
    """Accuracy [%] over the length of sequences, a dot a seed and a line through means; one task, equal steps."""
    colours = dict(zip(KINDS, sns.color_palette("colorblind"), strict=False))
    rows, ends = frames.where(frame, budget=STEPS), []
    for variant, group in rows.groupby("variant", sort=False):
        kind, mean = kind_of(variant), 100 * group.groupby("length")["accuracy"].mean()
        marker, dash = LOOKS[kind]
        ax.plot(
            group["length"], 100 * group["accuracy"], linestyle="none", marker=marker, color=colours[kind], alpha=0.5
        )
        ax.plot(mean.index, mean, linestyle=dash, color=colours[kind], linewidth=1, label=variant)
        ends.append((variant, mean.index[-1], mean.iloc[-1]))
    lengths = sorted(rows["length"].unique())
    ax.set_xscale("log")
    ax.set_xticks(lengths, [f"{length:,.0f}" for length in lengths])
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set(xlabel="sequence length T [tokens]", ylabel="accuracy [%]", ylim=(-3, 103))
    ax.set_title(rows["task"].iloc[0], fontsize="medium")
    label_beside(ax, *zip(*ends, strict=True))
    return ax


def quality(task: str) -> tuple[str, str, float]:
    """What a task is shown by: a column, its label, and a factor into its unit."""
    if asks(task) != TOKENS:
        return "accuracy", "test accuracy [%]", 100
    return ("loss", "test loss [bits per character]", 1 / log(2)) if is_text(task) else ("loss", "test loss [nats]", 1)


def kind_of(variant: str) -> str:
    """Which of KINDS a variant is, by its label."""
    first = variant.partition(",")[0].split()[0]
    if is_control(variant):
        return "patches and stems"
    return first if first in KINDS else "other forms"


def label_beside(ax: Axes, labels: Sequence[str] | pd.Series, x: Values, y: Values) -> None:
    """Write labels in a column beside the axes, in the order of their points, none over another, each with a line."""
    ax.autoscale_view()
    ends = ax.transData.transform(np.column_stack([list(x), list(y)]))
    heights = ax.transAxes.inverted().transform(ends)[:, 1]
    order = np.argsort(heights)
    for number, height in zip(order, spread(heights[order]), strict=True):
        ax.annotate(
            list(labels)[number],
            (list(x)[number], list(y)[number]),
            (1.03, height),
            textcoords="axes fraction",
            fontsize="x-small",
            va="center",
            arrowprops={"arrowstyle": "-", "color": "0.75", "linewidth": 0.5},
        )


def spread(heights: Values) -> list[float]:
    """The same heights, which rise, at least GAP from each other: moved up, or down from the axis's end."""
    placed: list[float] = []
    for height in heights:
        placed.append(max(height, placed[-1] + GAP) if placed else height)
    ceiling = 1.0
    for number in reversed(range(len(placed))):
        placed[number] = min(placed[number], ceiling)
        ceiling = placed[number] - GAP
    return placed


def _panels(frame: pd.DataFrame, draw: Callable[[Axes, pd.DataFrame], Axes]) -> Figure:
    groups = list(frame.groupby("task", sort=False))
    size = (6.8, 3.2 * len(groups))
    figure, axes = plt.subplots(len(groups), 1, figsize=size, layout="constrained", squeeze=False)
    for ax, (_, rows) in zip(axes[:, 0], groups, strict=True):
        draw(ax, rows)
    return figure
