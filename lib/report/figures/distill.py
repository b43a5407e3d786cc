"""Figures of kernels and of what replaces them: `figure(ax, frame) -> Axes`, and whole figures of several panels."""

from collections.abc import Iterable, Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator

from lib.experiments.distill_training import LABELS
from lib.names import DISTILLATIONS
from lib.report import frames
from lib.report.evidence import Evidence
from lib.report.figures import BASELINE, DASHES, MARKERS, across_machines
from lib.report.views.files import naming_files

ERROR = 0.01  # the one percent that the original report expects; a dotted line
FAR = DISTILLATIONS["structured_sparse"].label  # far below all others after fine-tuning: left to the table


def singular_values(frame: pd.DataFrame) -> Figure:
    """Singular values across channels and across time, a panel each; of `lib.experiments.distill_cost.spectra`."""
    figure, axes = plt.subplots(1, 2, figsize=(8.6, 4.2), layout="constrained")
    names = list(frame["bank"].unique())
    for ax, (across, group) in zip(axes, frame.groupby("across", sort=False), strict=True):
        spectra(ax, group, f"Across {across}", names)
    _one_legend(figure, axes, ncols=3)
    return figure


@naming_files
def bank_errors(evidence: Evidence) -> Figure:
    """What every bank loses by every method, a panel per bank."""
    panels = list(evidence.kernel_errors.groupby("bank", sort=False))
    rows = -(-len(panels) // 2)
    size = (8.6, 0.8 + 2.6 * rows)
    figure, axes = plt.subplots(rows, 2, figsize=size, layout="constrained", sharex=True, sharey=True, squeeze=False)
    for ax, (bank, group) in zip(axes.flat, panels, strict=False):
        error_over_order(ax, group, bank)
        ax.label_outer()
    for ax in axes.flat[len(panels) :]:
        ax.set_axis_off()
    _one_legend(figure, axes.flat[: len(panels)], ncols=3)
    return figure


@naming_files
def speed(evidence: Evidence) -> Figure:
    """Latency of a whole sequence and of a single token against the length, for every form of the kernels."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(8.6, 3.8), layout="constrained")
    names = list(evidence.kernels["variant"].unique())
    latency_over_length(left, evidence.kernels, f"A sequence, {evidence.title}", names)
    tokens_over_length(right, evidence.kernel_tokens, f"A token, {evidence.title}", names)
    for ax in (left, right):
        ax.tick_params("x", labelrotation=45)
    _one_legend(figure, [left], ncols=3)
    return figure


@naming_files
def accuracies(evidence: Evidence) -> Figure:
    """Accuracy minus the original's before and after distillation fine-tuning, a row per task."""
    tasks = list(evidence.distilled["task"].unique())
    size = (8.6, 2.9 * len(tasks))
    figure, axes = plt.subplots(len(tasks), 2, figsize=size, layout="constrained", squeeze=False)
    after = evidence.fine_tuned[evidence.fine_tuned["variant"] != FAR]
    for (left, right), task in zip(axes, tasks, strict=True):
        accuracy_over_order(left, frames.where(evidence.distilled, task=task), f"{task}, before fine-tuning")
        accuracy_over_order(right, frames.where(after, task=task), f"{task}, after fine-tuning")
    _one_legend(figure, axes.flat, ncols=3)
    return figure


def machines(frame: pd.DataFrame) -> Figure:
    """Ratios on every recorded machine; of `lib.report.chapters.distill.across_machines`."""
    figure, ax = plt.subplots(figsize=(6.8, 3.8), layout="constrained")
    across_machines(ax, frame).set_xlabel("latency / full kernel's; a token's / all states'")
    return figure


def replaced(kernel: np.ndarray, forms: Mapping[int, tuple[np.ndarray, float]], method: str) -> dict[str, Figure]:
    """Order -> a kernel and what stands for it there.

    forms    order -> taps, and their relative error
    method   its label
    """
    pictures = {}
    for order, (taps, error) in sorted(forms.items()):
        figure, ax = plt.subplots(figsize=(6.8, 3.4), layout="constrained")
        kernels(ax, kernel, taps, f"{method}, order {order}: error {error:.2f}")
        pictures[f"{order}"] = figure
    return pictures


def spectra(ax: Axes, frame: pd.DataFrame, title: str, names: Sequence[str] | None = None) -> Axes:
    """Singular values relative to the largest, by their number, a line per bank.

    frame  columns bank, number (from 1 on), value
    names  banks of this and of the figures beside it: each has one colour and dash in all of them
    """
    colours, names = sns.color_palette("colorblind"), list(names or frame["bank"].unique())
    for bank, group in frame.groupby("bank", sort=False):
        look = names.index(bank)
        line = dict(color=colours[look % len(colours)], linestyle=DASHES[look % len(DASHES)])
        ax.plot(group["number"], group["value"] / group["value"].max(), label=bank, **line)
    ax.axhline(ERROR, color="0.6", linestyle=":", linewidth=1, zorder=1)
    ax.set(xscale="log", yscale="log", xlabel="number of the value", ylabel="value / largest", ylim=(1e-6, 2))
    ax.set_title(title, fontsize="medium")
    ax.legend(frameon=False, fontsize="small")
    return ax


def error_over_order(ax: Axes, frame: pd.DataFrame, title: str) -> Axes:
    """Relative error of a bank against the order kept, a line per method.

    frame  columns variant, order, relative_error
    """
    _over_order(ax, frame, "relative_error", 1)
    ax.axhline(ERROR, color="0.6", linestyle=":", linewidth=1, zorder=1)
    ax.set(yscale="log", ylabel="error / norm of the kernels", ylim=(1e-3, 1.5))
    ax.set_title(title, fontsize="medium")
    return ax


def accuracy_over_order(ax: Axes, frame: pd.DataFrame, title: str) -> Axes:
    """Accuracy minus the original's [points] against the order kept, a line per variant, mean and interval.

    frame  columns variant, order, difference with _low and _high, as shares
    """
    _over_order(ax, frame, "difference", 100)
    ax.axhline(0, **BASELINE)
    ax.axhline(-1, color="0.6", linestyle=":", linewidth=1, zorder=1)
    ax.set_ylabel("accuracy − original's [points]")
    ax.set_title(title, fontsize="medium")
    return ax


def kernels(ax: Axes, kernel: np.ndarray, approximation: np.ndarray, title: str) -> Axes:
    """A kernel and what stands for it, by lag."""
    ax.plot(kernel, color="0.6", linewidth=2.4, label="original")
    ax.plot(approximation, color="C1", linestyle="--", linewidth=1.2, label="distilled")
    ax.set(xlabel="lag [tokens]", xscale="symlog", xlim=(0, len(kernel)))
    ax.set_title(title, fontsize="medium")
    ax.legend(frameon=False, fontsize="small")
    return ax


def latency_over_length(ax: Axes, frame: pd.DataFrame, title: str, names: Sequence[str]) -> Axes:
    """Latency relative to the full kernel's, against length on log axes, a line per variant, median and quartiles.

    frame  columns variant, length, latency_ratio with _low and _high
    names  variants of this and of the figures beside it: each has one colour and marker in all of them
    """
    _lines(ax, frame, "length", "latency_ratio", 1, names)
    ax.axhline(1, **BASELINE)
    _log(ax, frame, "length", "sequence length T [tokens]")
    ax.set(yscale="log", ylabel="latency / full kernel")
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.set_title(title, fontsize="medium")
    return ax


def tokens_over_length(ax: Axes, frame: pd.DataFrame, title: str, names: Sequence[str]) -> Axes:
    """Latency of one token [µs] against the kernel's length on log axes, a line per variant, median and quartiles.

    frame  columns variant, length, tokens (so many took `seconds`), seconds with _low and _high
    names  as for `latency_over_length`
    """
    times = ["seconds", "seconds_low", "seconds_high"]
    _lines(ax, frame.assign(**{name: frame[name] / frame["tokens"] for name in times}), "length", "seconds", 1e6, names)
    _log(ax, frame, "length", "taps L of the kernel")
    ax.set(yscale="log", ylabel="latency of a token [µs]")
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.set_title(title, fontsize="medium")
    return ax


def _over_order(ax: Axes, frame: pd.DataFrame, column: str, scale: float) -> None:
    _lines(ax, frame, "order", column, scale, [*LABELS.values()])
    _log(ax, frame, "order", "order kept")
    ax.legend(frameon=False, fontsize="small")


def _lines(ax: Axes, frame: pd.DataFrame, over: str, column: str, scale: float, names: Sequence[str]) -> None:
    """A line per variant, with bars where the frame holds _low and _high; its place among names decides its look."""
    colours = sns.color_palette("colorblind")
    for variant, group in frame.groupby("variant", sort=False):
        number, group = names.index(variant), group.sort_values(over)
        bars = None
        if f"{column}_low" in group:
            ends = [group[column] - group[f"{column}_low"], group[f"{column}_high"] - group[column]]
            bars = [scale * end.clip(lower=0) for end in ends]
        ax.errorbar(
            group[over],
            scale * group[column],
            yerr=bars,
            color=colours[number % len(colours)],
            marker=MARKERS[number % len(MARKERS)],
            linestyle=DASHES[number % len(DASHES)],
            capsize=2,
            label=variant,
        )


def _log(ax: Axes, frame: pd.DataFrame, over: str, label: str) -> None:
    sizes = sorted(frame[over].unique())
    ax.set(xscale="log", xlabel=label)
    ax.set_xticks(sizes, [f"{size:,.0f}" for size in sizes])
    ax.xaxis.set_minor_locator(NullLocator())


def _one_legend(figure: Figure, axes: Iterable[Axes], ncols: int) -> None:
    """One legend below for all axes; their own go."""
    handles: dict[str, object] = {}
    for ax in axes:
        handles |= dict(zip(*reversed(ax.get_legend_handles_labels()), strict=True))
        if ax.get_legend():
            ax.get_legend().remove()
    figure.legend(handles.values(), handles, loc="outside lower center", ncols=ncols, frameon=False)
