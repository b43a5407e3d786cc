"""Figures: `figure(ax, frame) -> Axes`. Markers and dashes repeat what colours say, for greyscale print."""

from textwrap import fill

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, NullLocator
from matplotlib_inline.backend_inline import set_matplotlib_formats

from lib.report import units

MARKERS = "osD^vP"
DASHES = ("--", ":", "-.", "-", (0, (3, 1, 1, 1, 1, 1)))
WORDS = {"length": "sequence length", "dim": "channels", "states": "states per channel", "patches": "size of the image"}
LETTERS = {"length": "T [tokens]", "dim": "D", "states": "N", "patches": "[patches]"}
BASELINE = dict(color="0.25", linewidth=1.2, linestyle="--", zorder=1)


def style() -> None:
    """The look of every figure: vector output, a light grid, a palette safe for colour blindness."""
    sns.set_theme(style="whitegrid", palette="colorblind", rc={"grid.color": "0.9", "axes.edgecolor": "0.6"})
    set_matplotlib_formats("svg", "pdf")


def latency_over(ax: Axes, frame: pd.DataFrame, slopes: pd.DataFrame, over: str = "length") -> Axes:
    """Median latency [ms] over a size on log axes, one machine, a slope per variant, with its interval if any."""
    _growth(ax, frame, slopes, over, "seconds", 1e3)
    ax.set(ylabel="latency [ms]")
    ax.set_title(f"Latency over {WORDS[over]}, {frame['machine'].iloc[0]}", fontsize="medium")
    return ax


def memory_over(ax: Axes, frame: pd.DataFrame, slopes: pd.DataFrame, over: str = "length") -> Axes:
    """Peak memory [MiB] over a size on log axes, one machine, a fitted slope per variant."""
    _growth(ax, frame, slopes, over, "memory_bytes", 2**-20)
    ax.set(ylabel="peak memory [MiB]")
    ax.set_title(f"Peak memory over {WORDS[over]}, {frame['machine'].iloc[0]}", fontsize="medium")
    return ax


def _growth(ax: Axes, frame: pd.DataFrame, slopes: pd.DataFrame, over: str, cost: str, scale: float) -> None:
    exponents = slopes.set_index("variant")
    for (variant, group), marker in zip(frame.groupby("variant", sort=False), MARKERS, strict=False):
        fit = exponents.loc[variant]
        interval = f" {units.interval(fit['low'], fit['high'])}" if "low" in fit else ""
        ax.errorbar(
            group[over],
            group[cost] * scale,
            yerr=scale * bars(group, cost) if f"{cost}_low" in group else None,
            marker=marker,
            linestyle="--" if variant == "baseline" else "-",
            capsize=2,
            label=f"{variant}: slope {fit['slope']:.2f}{interval}",
        )
    ax.set(xscale="log", yscale="log", xlabel=f"{WORDS[over]} {LETTERS[over]}")
    sizes = sorted(frame[over].unique())
    ax.set_xticks(sizes, [f"{size:,.0f}" for size in sizes])
    ax.xaxis.set_minor_locator(NullLocator())
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.legend(frameon=False, fontsize="small")


def bars(group: pd.DataFrame, column: str) -> np.ndarray:
    """Distances from the median down and up to the quartiles; none where there is one value only."""
    low = group[column] - group[f"{column}_low"]
    high = group[f"{column}_high"] - group[column]
    return np.nan_to_num(np.stack([low, high]).astype(float))


def across_machines(ax: Axes, frame: pd.DataFrame) -> Axes:
    """Latency ratios on every recorded machine, median and quartiles on a log axis; a row per quantity.

    frame   columns machine, what, ratio, low, high; the reference machine first
    """
    names, machines = list(frame["what"].unique()), list(frame["machine"].unique())
    colours = sns.color_palette("colorblind", len(machines))
    for number, machine in enumerate(machines):
        rows = frame[frame["machine"] == machine]
        shift = 0 if len(machines) == 1 else 0.6 * number / (len(machines) - 1) - 0.3
        ax.errorbar(
            rows["ratio"],
            [names.index(name) + shift for name in rows["what"]],
            xerr=[(rows["ratio"] - rows["low"]).clip(lower=0), (rows["high"] - rows["ratio"]).clip(lower=0)],
            marker=MARKERS[number % len(MARKERS)],
            color=colours[number],
            linestyle="none",
            capsize=2,
            label=machine,
        )
    ax.axvline(1, **BASELINE)
    ax.set(xscale="log", xlabel="latency / baseline's")
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.xaxis.set_minor_formatter(FuncFormatter(_unless_crowded))
    ax.set_yticks(range(len(names)), [fill(name, 26) for name in names])
    ax.set_ylim(len(names) - 0.5, -0.5)
    ax.grid(axis="y", visible=False)
    ax.figure.legend(frameon=False, fontsize="small", loc="outside lower center", ncols=3)
    return ax


def _unless_crowded(value: float, _: int | None = None) -> str:
    """Labels between the decades of a log axis: those of few digits alone, so that none overlap."""
    return f"{value:g}" if f"{value:e}"[0] in "257" else ""
