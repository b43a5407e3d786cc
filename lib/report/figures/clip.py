"""Figures of token reduction: what operations go into, what accuracy is retained, which patches stay."""

from collections.abc import Mapping, Sequence
from itertools import cycle

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from lib.experiments.clip_variants import ROUNDS, UNREDUCED
from lib.names import SMALL_CLIPS
from lib.report import units
from lib.report.evidence import Evidence
from lib.report.figures import BASELINE, MARKERS, bars
from lib.report.views.files import naming_files

EDGE = {"color": "white", "linewidth": 0.6}


def operations_by_part(ax: Axes, frame: pd.DataFrame) -> Axes:
    """Share of a tower's operations by part and side of the image; columns side, part, flops."""
    wide = frame.pivot(index="side", columns="part", values="flops")[list(frame["part"].unique())]
    shares = wide.div(wide.sum(axis=1), axis=0)
    bottom = np.zeros(len(shares))
    for (part, values), colour, hatch in zip(shares.items(), sns.color_palette(), ("", "//", "", ".."), strict=False):
        ax.bar(range(len(shares)), values, bottom=bottom, label=part, color=colour, hatch=hatch, edgecolor="white")
        bottom += values.to_numpy()
    ax.set_xticks(range(len(shares)), [f"{side}" for side in shares.index])
    ax.set(xlabel="pixels a side", ylabel="share of operations")
    ax.yaxis.set_major_formatter(PercentFormatter(1))
    ax.grid(axis="x", visible=False)
    last = shares["attention"].iloc[-1]
    ax.set_title(f"Attention between tokens: {units.share(last)} at {shares.index[-1]} pixels", fontsize="medium")
    ax.legend(frameon=False, fontsize="small", loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=4)
    return ax


def latency_by_keep(ax: Axes, frame: pd.DataFrame) -> Axes:
    """Latency relative to the unreduced tower's by the share of patches kept, and what operations alone would cost."""
    _by_keep(ax, frame, "latency_ratio")
    ideal = frame.dropna(subset="flops_ratio").drop_duplicates("keep").sort_values("keep")
    ax.plot(ideal["keep"], ideal["flops_ratio"], color="0.55", linestyle=":", label="operations alone")
    ax.set(ylabel="latency / unreduced", ylim=(0, 1.1))
    ax.set_title("Latency follows the number of tokens", fontsize="medium")
    return ax


def memory_by_keep(ax: Axes, frame: pd.DataFrame) -> Axes:
    """Peak memory relative to the unreduced tower's by the share of patches kept, where it is known."""
    _by_keep(ax, frame.dropna(subset="memory_ratio"), "memory_ratio")
    ax.set(xlabel="share of patches kept", ylabel="memory / unreduced", ylim=(0, 1.1))
    return ax


def _by_keep(ax: Axes, frame: pd.DataFrame, column: str) -> None:
    """A line per machine, with quartiles where there are some."""
    for (machine, group), marker in zip(frame.groupby("machine", sort=False), MARKERS, strict=False):
        group = group.sort_values("keep")
        spread = bars(group, column) if f"{column}_low" in group else None
        ax.errorbar(group["keep"], group[column], yerr=spread, marker=marker, capsize=2, label=machine)
    ax.axhline(1, **BASELINE)


def retained_over(ax: Axes, frame: pd.DataFrame, cost: str, label: str, title: str) -> Axes:
    """Accuracy relative to the unreduced model's, mean and interval over checkpoints, against a cost.

    frame   of `summary`, one task and machine
    cost    a column: `ratio` of operations, or `latency_ratio`

    Merging in rounds, which the others are compared with, is drawn strongest.
    """
    variants = list(frame["variant"].unique())
    styles = zip(variants, cycle(MARKERS), cycle(sns.color_palette()), strict=False)
    for number, (variant, marker, colour) in enumerate(styles):
        group = frame[frame["variant"] == variant].sort_values(cost)
        margin = group["retained_high"] - group["retained"]
        line, width = ("-" if number < len(MARKERS) else "--"), 1.4
        if variant == ROUNDS:
            line, width, colour = "-", 2.4, "0.2"
        drawn = {"color": colour, "linewidth": width, "label": variant, "marker": marker, "markersize": 5}
        ax.plot(group[cost], group["retained"], line, **drawn)
        ax.fill_between(
            group[cost], group["retained"] - margin, group["retained"] + margin, color=colour, alpha=0.12, linewidth=0
        )
    ax.axhline(1, **BASELINE)
    ax.set(xlabel=label, ylabel="share of accuracy retained", ylim=(0, 1.08))
    ax.set_title(title, fontsize="medium")
    return ax


@naming_files
def costs(evidence: Evidence) -> Figure:
    """Operations by part; latency and memory by the share of patches kept: the original report's own, and recorded."""
    figure = plt.figure(figsize=(8.6, 5.6), layout="constrained")
    places = figure.subplot_mosaic([["operations", "latency"], ["operations", "memory"]])
    operations_by_part(places["operations"], evidence.operations_by_part)
    printed = evidence.original_clip
    rows = pd.concat([printed[printed["variant"] == "vtp"], evidence.pruned])
    latency_by_keep(places["latency"], rows)
    below = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.22), "ncols": 2}
    memory_by_keep(places["memory"], rows).legend(
        *places["latency"].get_legend_handles_labels(), frameon=False, fontsize="small", **below
    )
    return figure


def accuracies(frame: pd.DataFrame) -> Figure:
    """Accuracy retained by every variant against operations and against latency, a row per task.

    frame   of `summary`, with a target and `latency_ratio`
    """
    tasks = [task for task in SMALL_CLIPS if task in set(frame["task"])]
    figure, axes = plt.subplots(len(tasks), 2, figsize=(8.6, 3.9 * len(tasks)), layout="constrained", squeeze=False)
    for (left, right), task in zip(axes, tasks, strict=True):
        rows, name = frame[frame["task"] == task], SMALL_CLIPS[task]
        retained_over(left, rows, "ratio", f"operations / {UNREDUCED}", name)
        retained_over(right, rows, "latency_ratio", f"latency / {UNREDUCED}", f"{name}, measured latency")
        right.set_ylabel("")
    handles, labels = axes[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False)
    return figure


def kept(ax: Axes, image: np.ndarray, places: np.ndarray, title: str) -> Axes:
    """An image (H, W, 3) as its tokens see it: patches that are gone are pale, those of one token have its mean colour.

    places   of every patch the token that holds it, or a negative number, row by row
    """
    grid = int(len(places) ** 0.5)
    patches = image.reshape(grid, image.shape[0] // grid, grid, image.shape[1] // grid, 3).swapaxes(1, 2)
    patches = patches.reshape(grid * grid, *patches.shape[2:]).copy()
    for place in np.unique(places[places >= 0]):
        own = places == place
        if own.sum() > 1:
            patches[own] = patches[own].mean((0, 1, 2))
    patches[places < 0] = 0.2 * patches[places < 0] + 0.8
    shown = patches.reshape(grid, grid, *patches.shape[1:]).swapaxes(1, 2).reshape(image.shape)
    ax.imshow(shown, interpolation="nearest")
    field, size = places.reshape(grid, grid), image.shape[0] / grid
    beside, above = np.nonzero(field[:, :-1] != field[:, 1:]), np.nonzero(field[:-1] != field[1:])
    ax.vlines((beside[1] + 1) * size - 0.5, beside[0] * size - 0.5, (beside[0] + 1) * size - 0.5, **EDGE)
    ax.hlines((above[0] + 1) * size - 0.5, above[1] * size - 0.5, (above[1] + 1) * size - 0.5, **EDGE)
    ax.set_axis_off()
    ax.set_title(title, fontsize="small")
    return ax


def gallery(
    images: np.ndarray,
    names: Sequence[str],
    rows: Mapping[str, tuple[np.ndarray, Sequence[str]]],
    width: float = 1.45,
    height: float = 1.65,
) -> Figure:
    """Images (B, H, W, 3) from 0 to 1 above what each method keeps of them, with what the model says then.

    rows            label -> places (B, P), answers
    width, height   of one image [inches]
    """
    figure, axes = plt.subplots(
        len(rows) + 1, len(images), figsize=(width * len(images), height * (len(rows) + 1)), layout="constrained",
        squeeze=False,
    )  # fmt: skip
    for column, (image, name) in enumerate(zip(images, names, strict=True)):
        axes[0, column].imshow(image, interpolation="nearest")
        axes[0, column].set_axis_off()
        axes[0, column].set_title(name, fontsize="small")
        for row, (places, answers) in enumerate(rows.values(), start=1):
            kept(axes[row, column], image, places[column], answers[column])
    for label, ax in zip(["image", *rows], axes[:, 0], strict=True):
        ax.text(-0.12, 0.5, label, transform=ax.transAxes, rotation=90, va="center", ha="right", fontsize="small")
    return figure
