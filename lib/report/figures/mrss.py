"""Figures of cost against quality: `figure(ax, frame) -> Axes`, as in `lib.report.figures`."""

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.ticker import NullLocator

from lib.report.accuracy import POINT
from lib.report.figures import BASELINE, MARKERS

DASHES = ("--", ":", "-.", "-", (0, (3, 1, 1, 1, 1, 1)))
LABELS = {"steps": "as many steps", "operations": "as many operations"}


def ratio_over_length(ax: Axes, frame: pd.DataFrame, column: str = "latency_ratio") -> Axes:
    """A ratio to the baseline over length, one line per variant, median and quartiles; one machine and setting."""
    shown = frame[frame["variant"] != "baseline"]
    for (variant, group), marker in zip(shown.groupby("variant", sort=False), MARKERS, strict=False):
        low, high = f"{column}_low", f"{column}_high"
        bars = [group[column] - group[low], group[high] - group[column]] if low in group else None
        ax.errorbar(group["length"], group[column], yerr=bars, marker=marker, capsize=2, label=variant)
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


def accuracy_differences(ax: Axes, frame: pd.DataFrame) -> Axes:
    """Difference to the baseline's accuracy [points] by variant and budget, mean and interval; one task and machine."""
    shown = frame[frame["variant"] != "baseline"]
    variants = list(shown["variant"].unique())
    for number, (budget, group) in enumerate(shown.groupby("budget", sort=False)):
        places = [variants.index(variant) + 0.2 * number - 0.1 for variant in group["variant"]]
        ax.errorbar(
            100 * group["difference"],
            places,
            xerr=100 * _bars(group, "difference"),
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


def loss_curves(ax: Axes, frame: pd.DataFrame) -> Axes:
    """Training loss [nats] over steps, a line per seed, a colour and a dash per variant; one task and machine."""
    colours = dict(zip(frame["variant"].unique(), sns.color_palette("colorblind"), strict=False))
    for (variant, _), group in frame.groupby(["variant", "seed"], sort=False):
        dash = DASHES[list(colours).index(variant)]
        ax.plot(group["step"], group["loss"], linestyle=dash, color=colours[variant], linewidth=0.9, label=variant)
    handles = {line.get_label(): line for line in ax.lines}
    ax.legend(handles.values(), handles.keys(), frameon=False, fontsize="small")
    ax.set(xlabel="training step", ylabel="loss [nats]", yscale="log")
    ax.set_title(frame["task"].iloc[0], fontsize="medium")
    return ax


def pareto(ax: Axes, frame: pd.DataFrame, task: str | None = None) -> Axes:
    """Accuracy over the baseline's [points] against latency over the baseline's; `task`'s points are set off.

    frame  columns task, variant, latency_ratio, difference with _low and _high; the baseline is the point at 1 and 0
    """
    variants = list(frame["variant"].unique())
    colours = dict(zip(variants, sns.color_palette("colorblind"), strict=False))
    for variant, marker in zip(variants, MARKERS, strict=False):
        group = frame[frame["variant"] == variant]
        chosen = group[group["task"] == task] if task else group
        ax.scatter(group["latency_ratio"], 100 * group["difference"], marker=marker, color="0.8", s=20, zorder=2)
        ax.errorbar(
            chosen["latency_ratio"],
            100 * chosen["difference"],
            yerr=100 * _bars(chosen, "difference"),
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
    ax.set_ylabel("accuracy − baseline's [points]")
    ax.set_title(f"{task or 'All tasks'}: left is faster, up is better", fontsize="medium")
    ax.legend(frameon=False, fontsize="small", loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=4)
    return ax


def _bars(group: pd.DataFrame, column: str):
    """Distances from the mean down and up to the interval's ends."""
    return pd.concat(
        [group[column] - group[f"{column}_low"], group[f"{column}_high"] - group[column]], axis=1
    ).T.to_numpy()
