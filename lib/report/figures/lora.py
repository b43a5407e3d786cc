"""Figures of adapters: accuracy against rank, what a rank loses without training, and latency against accuracy."""

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator, PercentFormatter

from lib.experiments.lora_tokens import CONTROL
from lib.experiments.lora_training import FULL
from lib.names import SMALL_CLIPS
from lib.report import frames
from lib.report.evidence import Evidence
from lib.report.figures import BASELINE, MARKERS, bars
from lib.report.figures import across_machines as _across
from lib.report.frames import lora
from lib.report.views.files import naming_files


@naming_files
def ranks(evidence: Evidence) -> Figure:
    """Accuracy on new labels by rank, a panel per task."""
    ladder = lora.ladder(evidence.adapted_means)
    figure, axes = plt.subplots(1, len(SMALL_CLIPS), figsize=(8.6, 3.6), layout="constrained")
    for ax, task in zip(axes, SMALL_CLIPS, strict=True):
        accuracy_over_rank(ax, frames.where(ladder, task=task))
    axes[0].legend(frameon=False, fontsize="small", loc="lower right")
    return figure


@naming_files
def recovered(evidence: Evidence) -> Figure:
    """Retained accuracy against latency, without and with adapters, a panel per task."""
    laid = lora.against_latency(evidence.recovered_means, evidence.adapter_towers)
    figure, axes = plt.subplots(1, len(SMALL_CLIPS), figsize=(8.6, 4.2), layout="constrained", sharey=True)
    for ax, task in zip(axes, SMALL_CLIPS, strict=True):
        latency_against_accuracy(ax, frames.where(laid, task=task))
    return figure


def formula(factors: pd.DataFrame, answers: pd.DataFrame) -> Figure:
    """What the original report's formula loses by rank, without training: the matrices, and a model's answers."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(8.6, 3.6), layout="constrained")
    lost_by_rank(left, factors, "error", "relative error of the matrix")
    left.legend(frameon=False, fontsize="small")
    left.set_title("The projections as A B", fontsize="medium")
    lost_by_rank(right, answers, "accuracy", "accuracy on scenes")
    right.set_title("Both projections replaced", fontsize="medium")
    return figure


def across_machines(rows: pd.DataFrame) -> Figure:
    """Ratios of the costs of adapters on every recorded machine."""
    height = 2.4 + 0.12 * rows["machine"].nunique() * rows["what"].nunique()
    figure, ax = plt.subplots(figsize=(8.6, height), layout="constrained")
    _across(ax, rows)
    return figure


def accuracy_over_rank(ax: Axes, frame: pd.DataFrame) -> Axes:
    """Accuracy by rank of the adapters, mean and interval, and full fine-tuning's as a band; one task.

    frame   of `lib.report.frames.lora.ladder`
    """
    ranked, full = frame[frame["variant"] != FULL].sort_values("rank"), frame[frame["variant"] == FULL].iloc[0]
    drawn = {"yerr": bars(ranked, "accuracy"), "marker": "o", "capsize": 2, "label": "LoRA"}
    ax.errorbar(ranked["rank"], ranked["accuracy"], **drawn)
    ax.axhline(full["accuracy"], **BASELINE, label=FULL)
    ax.axhspan(full["accuracy_low"], full["accuracy_high"], color="0.25", alpha=0.12, linewidth=0)
    ax.set_xscale("log", base=2)
    ax.set_xticks(ranked["rank"], [f"{rank}" for rank in ranked["rank"]])
    ax.xaxis.set_minor_locator(NullLocator())
    ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0, symbol=" %"))
    ax.set(xlabel="rank", ylabel="accuracy")
    ax.set_title(SMALL_CLIPS[frame["task"].iloc[0]], fontsize="medium")
    return ax


def lost_by_rank(ax: Axes, frame: pd.DataFrame, column: str, label: str) -> Axes:
    """What the best matrices of a rank lose, or retain, without training: a line per model; columns model, rank."""
    for (model, group), marker in zip(frame.groupby("model", sort=False), MARKERS, strict=False):
        ax.plot(group["rank"], group[column], marker=marker, label=model)
    known = sorted(frame["rank"].unique())
    ax.set_xscale("log", base=2)
    ax.set_xticks(known, [f"{rank}" for rank in known])
    ax.xaxis.set_minor_locator(NullLocator())
    ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0, symbol=" %"))
    ax.set(xlabel="rank", ylabel=label, ylim=(0, 1.05))
    return ax


def latency_against_accuracy(ax: Axes, frame: pd.DataFrame) -> Axes:
    """Retained accuracy against latency, hollow before and filled after adapters learned.

    frame   of `lib.report.frames.lora.against_latency`, one task
    """
    methods = [method for method in frame["method"].unique()]
    colours = dict(zip(methods, sns.color_palette("colorblind"), strict=False))
    for row in frame.itertuples():
        control = row.variant == CONTROL
        colour = "0.3" if control else colours[row.method]
        marker = "*" if control else MARKERS[methods.index(row.method)]
        name = "LoRA alone" if control else row.method.replace("_", " ")
        low, high = row.retained - row.retained_low, row.retained_high - row.retained
        ax.plot([row.latency_ratio] * 2, [row.before, row.retained], color=colour, linewidth=1, linestyle=":")
        ax.plot(row.latency_ratio, row.before, marker=marker, color=colour, fillstyle="none", linestyle="none")
        ax.errorbar(
            row.latency_ratio,
            row.retained,
            yerr=[[low], [high]],
            marker=marker,
            color=colour,
            capsize=2,
            linestyle="none",
            label=name,
        )
    handles = dict(zip(*reversed(ax.get_legend_handles_labels()), strict=True))
    ax.legend(handles.values(), handles.keys(), frameon=False, fontsize="small", loc="lower right")
    ax.axhline(1, **BASELINE)
    ax.set(xlabel="latency / unreduced tower's", ylabel="retained accuracy", xlim=(0, 1.1), ylim=(0, 1.08))
    ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0, symbol=" %"))
    ax.set_title(SMALL_CLIPS[frame["task"].iloc[0]], fontsize="medium")
    return ax
