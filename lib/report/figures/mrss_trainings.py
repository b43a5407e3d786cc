"""Axes of multi-resolution trainings: accuracies, losses, and accuracy against latency."""

from itertools import cycle

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes

from lib.experiments.mrss_training import OPERATIONS, STEPS
from lib.report import units
from lib.report.accuracy import POINT
from lib.report.figures import BASELINE, DASHES, MARKERS, bars

LABELS = {STEPS: "equal steps", OPERATIONS: "equal operations"}


def accuracy_differences(ax: Axes, frame: pd.DataFrame) -> Axes:
    """Difference to the baseline's accuracy [points] by variant and budget, mean and interval; one task and machine."""
    shown = frame[frame["variant"] != "baseline"]
    variants = list(shown["variant"].unique())
    for number, (budget, group) in enumerate(shown.groupby("budget", sort=False)):
        places = [variants.index(variant) + 0.2 * number - 0.1 for variant in group["variant"]]
        ax.errorbar(
            100 * group["difference"],
            places,
            xerr=100 * bars(group, "difference"),
            linestyle="none",
            marker=MARKERS[number],
            capsize=2,
            label=LABELS.get(budget, budget),
        )
    ax.axvline(0, **BASELINE)
    ax.axvline(-100 * POINT, color="0.6", linestyle=":", linewidth=1, zorder=1)
    ax.set_yticks(range(len(variants)), variants)
    ax.set_ylim(len(variants) - 0.5, -0.5)
    ax.grid(axis="y", visible=False)
    base = frame.loc[frame["variant"] == "baseline", "accuracy"].iloc[0]
    ax.set_title(f"{frame['task'].iloc[0]}: baseline {base:.1%}".replace("%", " %"), fontsize="medium")
    ax.set_xlabel("accuracy − baseline's [points]")
    return ax


def accuracy_of_seeds(ax: Axes, frame: pd.DataFrame) -> Axes:
    """Accuracy [%] of every seed by variant and budget, a dot each; one task that a seed solves or does not.

    frame   of `lib.experiments.mrss_training.accuracies`
    """
    variants = list(frame["variant"].unique())
    for number, (budget, group) in enumerate(frame.groupby("budget", sort=False)):
        places = [variants.index(variant) + 0.2 * number - 0.1 for variant in group["variant"]]
        shown = {"linestyle": "none", "marker": MARKERS[number], "alpha": 0.6, "label": LABELS.get(budget, budget)}
        ax.plot(100 * group["accuracy"], places, **shown)
    ax.set_yticks(range(len(variants)), variants)
    ax.set_ylim(len(variants) - 0.5, -0.5)
    ax.grid(axis="y", visible=False)
    ax.set_title(f"{frame['task'].iloc[0]}: a dot per seed", fontsize="medium")
    ax.set_xlabel("accuracy [%]")
    return ax


def loss_curves(ax: Axes, frame: pd.DataFrame) -> Axes:
    """Training loss [nats] over steps, a line per seed, a colour and a dash per variant; one task and machine."""
    colours = dict(zip(frame["variant"].unique(), sns.color_palette("colorblind"), strict=False))
    for (variant, _), group in frame.groupby(["variant", "seed"], sort=False):
        dash = DASHES[list(colours).index(variant) % len(DASHES)]
        ax.plot(group["step"], group["loss"], linestyle=dash, color=colours[variant], linewidth=0.9, label=variant)
    handles = {line.get_label(): line for line in ax.lines}
    ax.legend(handles.values(), handles.keys(), frameon=False, fontsize="small")
    ax.set(xlabel="training step", ylabel="loss [nats]", yscale="log")
    ax.set_title(frame["task"].iloc[0], fontsize="medium")
    return ax


def pareto(ax: Axes, frame: pd.DataFrame, task: str | None = None) -> Axes:
    """Accuracy minus the baseline's [points] against latency relative to it; `task`'s points are set off.

    Of a task that a seed solves or does not, the share of seeds that solve it stands in place of the accuracy.

    frame  columns task, variant, latency_ratio, difference with _low and _high; the baseline is the point at 1 and 0
    """
    variants = list(frame["variant"].unique())
    colours = dict(zip(variants, sns.color_palette("colorblind"), strict=False))
    for variant, marker in zip(variants, cycle(MARKERS), strict=False):
        group = frame[frame["variant"] == variant]
        chosen = group[group["task"] == task] if task else group
        ax.scatter(group["latency_ratio"], 100 * group["difference"], marker=marker, color="0.8", s=20, zorder=2)
        ax.errorbar(
            chosen["latency_ratio"],
            100 * chosen["difference"],
            yerr=100 * bars(chosen, "difference"),
            color=colours[variant],
            marker=marker,
            linestyle="none",
            capsize=2,
            label=variant,
            zorder=3,
        )
    ax.axhline(-100 * POINT, color="0.6", linestyle=":", linewidth=1, zorder=1)
    ax.axhline(0, **BASELINE)
    ax.axvline(1, **BASELINE)
    ax.set(xlim=(0, max(1.1, 1.1 * frame["latency_ratio"].max())), xlabel="latency / baseline")
    ax.set_ylabel(_compared(frame if task is None else frame[frame["task"] == task]))
    ax.set_title(f"{task or 'All tasks'}: left is faster, up is better", fontsize="medium")
    ax.legend(frameon=False, fontsize="small", loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=4)
    return ax


def _compared(frame: pd.DataFrame) -> str:
    """What is compared with the baseline: accuracies, shares of seeds that solve a task, or each on its tasks."""
    counted = frame["solved"].notna() if "solved" in frame else pd.Series(False, index=frame.index)
    if frame.empty or not counted.any():
        return "accuracy − baseline's [points]"
    if counted.all():
        return "share of seeds that solve it\n− baseline's [points]"
    names = units.listed(list(frame["task"][counted].unique()))
    return f"accuracy − baseline's [points]\n({names}: share of seeds that solve it)"
