"""Figures of adapters: accuracy over rank, what a rank loses without training, and latency against accuracy."""

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.ticker import NullLocator, PercentFormatter

from lib.report.adapting import CONTROL, FULL
from lib.report.figures import BASELINE, MARKERS, bars
from lib.report.pruning import NAMES


def accuracy_over_rank(ax: Axes, frame: pd.DataFrame) -> Axes:
    """Accuracy by rank of the adapters, mean and interval over seeds, and full fine-tuning's as a band; one task.

    frame   of `lib.report.adapting.summary`: variants of one place, and full fine-tuning
    """
    ranks, full = frame[frame["variant"] != FULL].sort_values("rank"), frame[frame["variant"] == FULL].iloc[0]
    drawn = {"yerr": bars(ranks, "accuracy"), "marker": "o", "capsize": 2, "label": "LoRA"}
    ax.errorbar(ranks["rank"], ranks["accuracy"], **drawn)
    ax.axhline(full["accuracy"], **BASELINE, label=FULL)
    ax.axhspan(full["accuracy_low"], full["accuracy_high"], color="0.25", alpha=0.12, linewidth=0)
    ax.set_xscale("log", base=2)
    ax.set_xticks(ranks["rank"], [f"{rank}" for rank in ranks["rank"]])
    ax.xaxis.set_minor_locator(NullLocator())
    ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0, symbol=" %"))
    ax.set(xlabel="rank", ylabel="accuracy")
    ax.set_title(NAMES[frame["task"].iloc[0]], fontsize="medium")
    return ax


def lost_by_rank(ax: Axes, frame: pd.DataFrame, column: str, label: str) -> Axes:
    """What the best matrices of a rank lose, or leave, without training: a line per model; columns model, rank."""
    for (model, group), marker in zip(frame.groupby("model", sort=False), MARKERS, strict=False):
        ax.plot(group["rank"], group[column], marker=marker, label=model)
    ranks = sorted(frame["rank"].unique())
    ax.set_xscale("log", base=2)
    ax.set_xticks(ranks, [f"{rank}" for rank in ranks])
    ax.xaxis.set_minor_locator(NullLocator())
    ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0, symbol=" %"))
    ax.set(xlabel="rank", ylabel=label, ylim=(0, 1.05))
    return ax


def latency_against_accuracy(ax: Axes, frame: pd.DataFrame) -> Axes:
    """Share of the accuracy left over latency, hollow before and filled after adapters learned.

    frame   of `summary`, one task, with `before`, `retained` and latency_ratio, that of merged adapters
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
    ax.set(xlabel="latency / untouched tower's", ylabel="share of accuracy left", xlim=(0, 1.1), ylim=(0, 1.08))
    ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0, symbol=" %"))
    ax.set_title(NAMES[frame["task"].iloc[0]], fontsize="medium")
    return ax
