"""Tables and figures of kernels and of what replaces them: `figure(ax, frame) -> Axes`, as in `lib.report.figures`."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import seaborn as sns
from IPython.display import Markdown
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, NullLocator

from lib.report import prose
from lib.report.figures import BASELINE, DASHES, MARKERS
from lib.report.tables import table

NAMES = {
    "modal": "modal",
    "balanced_truncation": "balanced truncation",
    "truncated_svd": "truncated SVD",
    "structured_sparse": "structured sparsity",
    "scratch": "small from the start",
}


def named(frame: pd.DataFrame) -> pd.DataFrame:
    """The same rows, methods by the names that readers see, always in the same order."""
    rows = frame[frame["variant"].isin(NAMES)].sort_values(
        "variant", key=lambda names: names.map([*NAMES].index), kind="stable"
    )
    return rows.assign(variant=rows["variant"].map(NAMES))


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
    """Relative error of a bank over the order kept, a line per method.

    frame  columns variant, order, error
    """
    _over_order(ax, frame, "error", 1)
    ax.axhline(0.01, color="0.6", linestyle=":", linewidth=1, zorder=1)
    ax.set(yscale="log", ylabel="error / norm of the kernels", ylim=(1e-3, 1.5))
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


def latency_over_length(ax: Axes, frame: pd.DataFrame, title: str, names: Sequence[str]) -> Axes:
    """Latency over the full kernel's over length on log axes, a line per variant, median and quartiles.

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
    """Latency of one token [µs] over the kernel's length on log axes, a line per variant, median and quartiles.

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


def accuracy_table(frame: pd.DataFrame, caption: str) -> Markdown:
    """Per task and variant, the difference to the original at every order, with its interval; one machine.

    frame  of `lib.report.accuracy.judged` and `named`: what is kept, at least on average, stands in bold
    """
    found = {
        (row.task, row.variant, row.order): f"**{prose.points(row)}**" if "kept" in row.verdict else prose.points(row)
        for row in frame.itertuples()
    }
    rows = [(task, variant) for task in frame["task"].unique() for variant in frame["variant"].unique()]
    return table(
        {
            "task": [task for task, _ in rows],
            "variant": [variant for _, variant in rows],
            **{f"{order:,}": [found.get((*row, order), "–") for row in rows] for order in sorted(set(frame["order"]))},
        },
        f"{caption}. Bold: at most a point below on average",
    )


def speed_table(sequence: pd.DataFrame, tokens: pd.DataFrame, caption: str) -> Markdown:
    """Numbers that a variant holds, its latency for a sequence and for one token, ratios to the full kernel's.

    sequence, tokens   cases with ratios to "full kernel" and columns held, tokens; one machine and length
    """
    single = tokens.set_index("variant").reindex(sequence["variant"])
    known = [not pd.isna(seconds) for seconds in single["seconds"]]
    return table(
        {
            "variant": list(sequence["variant"]),
            "numbers held": [f"{held:,.0f}" for held in sequence["held"]],
            "sequence [ms]": [f"{seconds * 1e3:.2f}" for seconds in sequence["seconds"]],
            "over full": [
                f"{row.latency_ratio:.2f} ({row.latency_ratio_low:.2f} – {row.latency_ratio_high:.2f})"
                for row in sequence.itertuples()
            ],
            "token [µs]": [
                f"{row.seconds / row.tokens * 1e6:.1f}" if here else "–"
                for row, here in zip(single.itertuples(), known, strict=True)
            ],
            "full over this": [
                f"{1 / row.latency_ratio:.1f} ({1 / row.latency_ratio_high:.1f} – {1 / row.latency_ratio_low:.1f})"
                if here
                else "–"
                for row, here in zip(single.itertuples(), known, strict=True)
            ],
        },
        caption,
    )


def _over_order(ax: Axes, frame: pd.DataFrame, column: str, scale: float) -> None:
    _lines(ax, frame, "order", column, scale, [*NAMES.values()])
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
