"""What learned gates do: a signal, its states, and what each form computed of it; and what that saves."""

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lib import names
from lib.experiments.mrss_gates import CLOSED, LEARNED, OPEN
from lib.report import units
from lib.report.figures import BASELINE, MARKERS, bars

WEIGHTED = "dual"  # the form whose gate weighs and skips nothing
STATES = {"slow": "-", "fast": ":"}


def uses(signals: pd.DataFrame, tokens: pd.DataFrame) -> Figure:
    """A signal, its states, and beneath them, form by form, what of each token was computed; one machine.

    signals, tokens   of `lib.experiments.mrss_gates`
    """
    forms = list(tokens.groupby("form", sort=False))
    heights = [1.6, 1.2, *[0.7] * len(forms)]
    size = (8.6, 1.2 * sum(heights))
    figure, axes = plt.subplots(
        len(heights), 1, figsize=size, sharex=True, layout="constrained", gridspec_kw={"height_ratios": heights}
    )
    signal(axes[0], signals)
    states(axes[1], signals)
    for ax, (_, group) in zip(axes[2:], forms, strict=True):
        use(ax, group)
    axes[-1].set_xlabel("token")
    return figure


def signal(ax: Axes, frame: pd.DataFrame) -> Axes:
    """A signal over its tokens."""
    ax.plot(frame["token"], frame["signal"], color="0.35", linewidth=0.8)
    ax.set(ylabel="signal", xlim=(frame["token"].min(), frame["token"].max() + 1))
    ax.set_title("A test signal: a slow and a fast wave, and noise", fontsize="medium")
    return ax


def states(ax: Axes, frame: pd.DataFrame) -> Axes:
    """Numbers of the slow and of the fast state, from 1, over the tokens of a signal."""
    for name, dash in STATES.items():
        ax.step(frame["token"], frame[name] + 1, where="post", linestyle=dash, linewidth=1.2, label=name)
    ax.set(ylabel="state", yticks=range(1, 2 + int(frame[list(STATES)].max(axis=None))))
    ax.set_title("What it was made of", fontsize="medium")
    ax.legend(frameon=False, fontsize="small", loc="upper right", ncols=len(STATES))
    return ax


def use(ax: Axes, frame: pd.DataFrame) -> Axes:
    """The share of every token that a form computed, averaged over gates; of dual, the full-rate branch's weight."""
    form = frame["form"].iloc[0]
    used = frame.groupby("token")["used"].mean()
    ax.fill_between(used.index, used, step="post", color="C0", alpha=0.6, linewidth=0)
    ax.set(ylim=(0, 1), yticks=(0, 1))
    gates = frame["mixer"].nunique()
    what = "mean weight of the full rate" if form == WEIGHTED else "computed"
    of = f", mean of {gates} gates" if gates > 1 else ""
    ax.set_title(f"{names.FORMS[form].label}: {units.share(used.mean())} {what}{of}", fontsize="medium")
    return ax


def latency(ax: Axes, frame: pd.DataFrame) -> Axes:
    """Latency relative to the baseline's, median and quartiles, with gates as learned, all open and all closed.

    frame   cases of one part and machine with ratios: form, gate, latency_ratio with _low and _high
    """
    shown = frame[frame["form"] != "baseline"]
    forms = list(shown["form"].unique())
    for number, gate in enumerate((LEARNED, OPEN, CLOSED)):
        group = shown[shown["gate"] == gate]
        ax.errorbar(
            group["latency_ratio"],
            [forms.index(form) + 0.2 * (number - 1) for form in group["form"]],
            xerr=bars(group, "latency_ratio"),
            linestyle="none",
            marker=MARKERS[number],
            capsize=2,
            label=gate,
        )
    ax.axvline(1, **BASELINE)
    ax.set_yticks(range(len(forms)), [names.FORMS[form].label for form in forms])
    ax.set_ylim(len(forms) - 0.5, -0.5)
    ax.set_xlim(0, None)
    ax.grid(axis="y", visible=False)
    below = int((shown.loc[shown["gate"] == LEARNED, "latency_ratio"] < 1).sum())
    ax.set_title(f"As learned, {below} of {len(forms)} forms are faster than the baseline", fontsize="medium")
    ax.set_xlabel("latency / baseline's")
    ax.legend(frameon=False, fontsize="small", loc="upper center", bbox_to_anchor=(0.5, -0.18), ncols=3)
    return ax
