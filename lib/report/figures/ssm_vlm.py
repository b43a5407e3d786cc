"""Figures of the chapter on state space models that see: orders of a scan, growth of the cost, where towers cross."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator

from lib.experiments.ssm_vlm_scaling import TRANSFORMER
from lib.report import figures
from lib.report.evidence import Evidence
from lib.report.views.files import naming_files


def orders(paths: Mapping[str, tuple[np.ndarray, np.ndarray]], seen: Mapping[str, np.ndarray], patch: int) -> Figure:
    """Above, the way that each scan takes over the patches; below, what one patch sees through some of them together.

    paths   name of an order -> rows and columns (P,) of the patches, as visited
    seen    names of orders -> which patches (H, W) one of them sees
    patch   number of that one
    """
    figure, axes = plt.subplots(2, 4, figsize=(6.4, 3.9), layout="constrained")
    for ax, (name, (rows, columns)) in zip(axes[0], paths.items(), strict=True):
        ax.plot(columns, rows, color="0.6", linewidth=1)
        dots = ax.scatter(columns, rows, c=np.arange(len(rows)), cmap="crest", s=40, zorder=2)
        dots.set_edgecolor("none")
        _bare(ax, name, seen)
    for ax, (name, sees) in zip(axes[1], seen.items(), strict=True):
        ax.pcolormesh(
            np.arange(sees.shape[1] + 1) - 0.5, np.arange(sees.shape[0] + 1) - 0.5, sees, cmap="Blues", vmin=0, vmax=2
        )
        row, column = divmod(patch, sees.shape[1])
        ax.plot(column, row, "o", color=sns.color_palette("colorblind")[1], markersize=8)
        _bare(ax, name, seen)
    return figure


def _bare(ax: Axes, title: str, seen: Mapping[str, np.ndarray]) -> None:
    height, width = next(iter(seen.values())).shape
    ax.set(xlim=(-0.6, width - 0.4), ylim=(height - 0.4, -0.6), aspect="equal", xticks=[], yticks=[])
    ax.set_title(title, fontsize="small")
    ax.grid(visible=False)


@naming_files
def growth(evidence: Evidence) -> Figure:
    """Latency and peak memory of all towers over the number of patches, with slopes of the largest images."""
    figure, (upper, lower) = plt.subplots(2, 1, figsize=(6.4, 8.2), layout="constrained")
    figures.latency_over(upper, evidence.growing_forward, evidence.growing_seconds, "patches")
    figures.memory_over(lower, evidence.growing_forward, evidence.growing_memory, "patches")
    return figure


@naming_files
def relative(evidence: Evidence) -> Figure:
    """Latency relative to the transformer's over the number of patches: forward, and in training."""
    figure, axes = plt.subplots(1, 2, figsize=(6.4, 3.9), sharey=True, layout="constrained")
    for ax, rows, title in zip(
        axes,
        (evidence.growing_forward, evidence.growing_training),
        ("forward pass", "training step"),
        strict=True,
    ):
        ratios(ax, rows[rows["variant"] != TRANSFORMER])
        ax.set_title(title, fontsize="medium")
    axes[0].set_ylabel("latency / transformer's")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, frameon=False, fontsize="small", loc="outside lower center", ncols=3)
    return figure


def ratios(ax: Axes, rows) -> Axes:
    """Latency ratios with quartiles over the number of patches on log axes, a line per tower."""
    for (label, group), marker in zip(rows.groupby("variant", sort=False), figures.MARKERS, strict=False):
        middle = group["latency_ratio"]
        ends = [
            (middle - group["latency_ratio_low"]).clip(lower=0),
            (group["latency_ratio_high"] - middle).clip(lower=0),
        ]
        ax.errorbar(group["patches"], middle, yerr=ends, marker=marker, capsize=2, label=label)
    ax.axhline(1, **figures.BASELINE)
    ax.set(xscale="log", yscale="log", xlabel="patches")
    sizes = sorted(rows["patches"].unique())
    ax.set_xticks(sizes, [f"{size:,}" for size in sizes], rotation=30, ha="right")
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_yticks([0.1, 0.2, 0.5, 1, 2, 5, 10])
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}×"))
    ax.yaxis.set_minor_locator(NullLocator())
    return ax


def across_machines(frame) -> Figure:
    """Latency ratios on every recorded machine."""
    figure, ax = plt.subplots(figsize=(6.4, 3.6), layout="constrained")
    figures.across_machines(ax, frame)
    return figure
