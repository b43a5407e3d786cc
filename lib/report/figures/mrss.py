"""Figures of the chapter on multi-resolution scanning: costs by factor and length, accuracies, and both together."""

from itertools import cycle

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from lib.experiments.mrss_scan import FORWARD, TRAINING
from lib.report import figures, frames
from lib.report.evidence import Evidence
from lib.report.figures import BASELINE, MARKERS, bars
from lib.report.figures.mrss_trainings import accuracy_differences, accuracy_of_seeds, loss_curves, pareto
from lib.report.views.files import naming_files

COSTS = ((FORWARD, "latency_ratio"), (TRAINING, "latency_ratio"), (TRAINING, "memory_ratio"))  # a row of panels each


@naming_files
def by_factor(evidence: Evidence, live: pd.DataFrame) -> Figure:
    """The proxy's latency and memory by factor: the original report's, the recorded ones, those of this run.

    live   this run's cases with ratios; their machine says so
    """
    shown = pd.concat([evidence.original_mrss, evidence.proxy, live])
    figure, (upper, lower) = plt.subplots(2, 1, figsize=(6.4, 8), layout="constrained")
    latency_by_factor(upper, shown)
    memory_by_factor(lower, shown)
    return figure


@naming_files
def growth(evidence: Evidence) -> Figure:
    """Latency over length with fitted slopes, of the proxy and of models."""
    figure, (upper, lower) = plt.subplots(2, 1, figsize=(6.4, 7.6), layout="constrained")
    figures.latency_over(upper, evidence.proxy_lengths, evidence.proxy_growth)
    figures.latency_over(lower, evidence.scan_lengths, evidence.scan_growth)
    upper.set_title(f"The proxy, {evidence.title}", fontsize="medium")
    lower.set_title(f"Models, D = {evidence.scan_sizes['width']}, {evidence.title}", fontsize="medium")
    return figure


@naming_files
def costs(evidence: Evidence) -> Figure:
    """Latency and memory of models relative to the baseline's over length, a column per width."""
    figure, axes = plt.subplots(len(COSTS), 2, figsize=(8.6, 9), sharex=True, layout="constrained")
    for row, (part, column) in zip(axes, COSTS, strict=True):
        for ax, (dim, group) in zip(row, evidence.scan_at_factor[part].groupby("dim"), strict=True):
            ratio_over_length(ax, group, column)
            ax.set_title(f"{part}, D = {dim}", fontsize="medium")
    figure.legend(*ax.get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False)
    return figure


@naming_files
def accuracies(evidence: Evidence) -> Figure:
    """Differences to the baseline's accuracy, a panel per task; a dot per seed where a seed solves it or does not."""
    panels = list(evidence.resolutions.groupby("task", sort=False))
    size = (8.6, 1.3 * len(panels))
    figure, axes = plt.subplots(-(-len(panels) // 2), 2, figsize=size, layout="constrained")
    handles = {}
    for ax, (task, group) in zip(axes.flat, panels, strict=True):
        if group["solved"].notna().any():
            accuracy_of_seeds(ax, frames.where(evidence.trained, task=task))
        else:
            accuracy_differences(ax, group)
        handles |= dict(zip(*reversed(ax.get_legend_handles_labels()), strict=True))
    figure.legend(handles.values(), handles, loc="outside lower center", ncols=2, frameon=False)
    return figure


@naming_files
def losses(evidence: Evidence) -> Figure:
    """Training losses of the tasks that are not smooth, a panel each."""
    panels = list(evidence.training_losses.groupby("task", sort=False))
    size = (6.8, 2.9 * len(panels))
    figure, axes = plt.subplots(len(panels), 1, figsize=size, layout="constrained", squeeze=False)
    for ax, (_, group) in zip(axes[:, 0], panels, strict=True):
        loss_curves(ax, group)
    return figure


@naming_files
def tradeoff(evidence: Evidence, task: str | None = None) -> Figure:
    """Accuracy against latency on all tasks; one may be set off."""
    figure, ax = plt.subplots(figsize=(6.8, 4.2), layout="constrained")
    pareto(ax, evidence.tradeoff[evidence.tradeoff["variant"] != "baseline"], task)
    return figure


@naming_files
def tradeoffs(evidence: Evidence) -> dict[str, Figure]:
    """Task -> accuracy against latency, with this task set off."""
    return {task: tradeoff(evidence, task) for task in evidence.tradeoff["task"].unique()}


def across_machines(frame: pd.DataFrame) -> Figure:
    """The chapter's ratios on every recorded machine; `frame` as of `lib.report.chapters.mrss.across_machines`."""
    height = 1.5 + 0.4 * frame["what"].nunique() + 0.15 * len(frame)
    figure, ax = plt.subplots(figsize=(6.4, height), layout="constrained")
    figures.across_machines(ax, frame)
    return figure


def latency_by_factor(ax: Axes, frame: pd.DataFrame) -> Axes:
    """Latency relative to the baseline's per factor and machine, with quartiles, and what operations alone would be."""
    ideal = frame.dropna(subset=["factor", "flops_ratio"]).drop_duplicates("factor").sort_values("factor")
    _by_factor(ax, frame, "latency_ratio")
    places = {factor: place for place, factor in enumerate(_factors(frame))}
    ax.scatter(
        [places[factor] for factor in ideal["factor"]],
        ideal["flops_ratio"],
        marker="_",
        s=900,
        color="0.55",
        label="operations alone",
        zorder=1,
    )
    return _finish(ax)


def memory_by_factor(ax: Axes, frame: pd.DataFrame) -> Axes:
    """Peak memory relative to the baseline's per factor and machine."""
    _by_factor(ax, frame, "memory_ratio")
    return _finish(ax)


def ratio_over_length(ax: Axes, frame: pd.DataFrame, column: str = "latency_ratio") -> Axes:
    """A ratio to the baseline over length, one line per variant, median and quartiles; one machine and setting."""
    shown = frame[frame["variant"] != "baseline"]
    for (variant, group), marker in zip(shown.groupby("variant", sort=False), cycle(MARKERS), strict=False):
        spread = bars(group, column) if f"{column}_low" in group else None
        ax.errorbar(group["length"], group[column], yerr=spread, marker=marker, capsize=2, label=variant)
    ax.axhline(1, **BASELINE)
    lengths = sorted(shown["length"].unique())
    ax.set_xscale("log")
    ax.set_xticks(lengths, [f"{length:,}" for length in lengths])
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_ylim(0, max(1.1, 1.08 * shown[column].max()))
    ax.set(
        xlabel="sequence length T [tokens]", ylabel=f"{'latency' if 'latency' in column else 'peak memory'} / baseline"
    )
    return ax


def _by_factor(ax: Axes, frame: pd.DataFrame, column: str) -> None:
    """One point per factor and machine, machines side by side around the factor's place."""
    shown = frame.dropna(subset=["factor", column])
    factors = _factors(frame)
    machines = list(shown["machine"].unique())
    step = min(0.16, 0.6 / max(len(machines), 1))
    for number, (machine, marker) in enumerate(zip(machines, cycle(MARKERS), strict=False)):
        group = shown[shown["machine"] == machine]
        places = [factors.index(factor) + (number - (len(machines) - 1) / 2) * step for factor in group["factor"]]
        spread = bars(group, column) if f"{column}_low" in group else None
        ax.errorbar(places, group[column], yerr=spread, marker=marker, linestyle="none", capsize=2, label=machine)
    ax.axhline(1, **BASELINE)
    ax.annotate(
        "baseline", (0, 1), (4, 4), xycoords=("axes fraction", "data"), textcoords="offset points", color="0.25"
    )
    ax.set_xticks(range(len(factors)), [f"r = {factor}" for factor in factors])
    ax.set(xlim=(-0.6, len(factors) - 0.4), xlabel="downsampling factor")
    ax.grid(axis="x", visible=False)
    quantity = {"latency_ratio": "latency", "memory_ratio": "peak memory"}[column]
    above = int((shown[column] > 1).sum())
    ax.set_ylabel(f"{quantity} / baseline")
    ax.set_title(f"{above} of {len(shown)} points need more {quantity} than the baseline", fontsize="medium")


def _finish(ax: Axes) -> Axes:
    ax.set_ylim(0, 1.12 * ax.dataLim.y1)
    ax.legend(frameon=False, fontsize="small", loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=2)
    return ax


def _factors(frame: pd.DataFrame) -> list[int]:
    return sorted(frame["factor"].dropna().unique())
