"""Figures of kernels and of what replaces them: `figure(ax, frame) -> Axes`, as in `lib.report.figures`."""

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.ticker import NullLocator

from lib.report.figures import BASELINE, MARKERS
from lib.report.tradeoffs import DASHES


def spectra(ax: Axes, frame: pd.DataFrame, title: str) -> Axes:
    """Singular values over the largest, by their number, a line per bank.

    frame  columns bank, number (from 1 on), value
    """
    for (bank, group), dash in zip(frame.groupby("bank", sort=False), DASHES, strict=False):
        ax.plot(group["number"], group["value"] / group["value"].max(), linestyle=dash, label=bank)
    ax.axhline(0.01, color="0.6", linestyle=":", linewidth=1, zorder=1)
    ax.set(yscale="log", xlabel="number of the value", ylabel="value / largest", ylim=(1e-6, 2))
    ax.set_title(title, fontsize="medium")
    ax.legend(frameon=False, fontsize="small")
    return ax


def error_over_order(ax: Axes, frame: pd.DataFrame, title: str) -> Axes:
    """Relative error of a bank over the order kept, a line per method, the mean over seeds and their extent.

    frame  columns variant, order, error, error_low, error_high
    """
    _over_order(ax, frame, "error", 1)
    ax.axhline(0.01, color="0.6", linestyle=":", linewidth=1, zorder=1)
    ax.set(yscale="log", ylabel="error / norm of the kernels")
    ax.set_title(title, fontsize="medium")
    return ax


def accuracy_over_order(ax: Axes, frame: pd.DataFrame, title: str) -> Axes:
    """Accuracy over the original's [points] over the order kept, a line per variant, mean and interval.

    frame  columns variant, order, difference with _low and _high, as shares
    """
    _over_order(ax, frame, "difference", 100)
    ax.axhline(0, **BASELINE)
    ax.axhline(-1, color="0.6", linestyle=":", linewidth=1, zorder=1)
    ax.set_ylabel("accuracy − original's [points]")
    ax.set_title(title, fontsize="medium")
    return ax


def kernels(ax: Axes, kernel: np.ndarray, approximation: np.ndarray, title: str) -> Axes:
    """A kernel and what stands for it, over lags."""
    ax.plot(kernel, color="0.6", linewidth=2.4, label="original")
    ax.plot(approximation, color="C1", linestyle="--", linewidth=1.2, label="distilled")
    ax.set(xlabel="lag [tokens]", xscale="symlog", xlim=(0, len(kernel)))
    ax.set_title(title, fontsize="medium")
    ax.legend(frameon=False, fontsize="small")
    return ax


def _over_order(ax: Axes, frame: pd.DataFrame, column: str, scale: float) -> None:
    colours = sns.color_palette("colorblind")
    for number, (variant, group) in enumerate(frame.groupby("variant", sort=False)):
        group = group.sort_values("order")
        bars = [group[column] - group[f"{column}_low"], group[f"{column}_high"] - group[column]]
        ax.errorbar(
            group["order"],
            scale * group[column],
            yerr=[scale * bar.clip(lower=0) for bar in bars],
            color=colours[number % len(colours)],
            marker=MARKERS[number % len(MARKERS)],
            linestyle=DASHES[number % len(DASHES)],
            capsize=2,
            label=variant,
        )
    orders = sorted(frame["order"].unique())
    ax.set(xscale="log", xlabel="order kept")
    ax.set_xticks(orders, [f"{order:,}" for order in orders])
    ax.xaxis.set_minor_locator(NullLocator())
    ax.legend(frameon=False, fontsize="small")
