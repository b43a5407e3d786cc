"""Pictures of all verdicts, and of what was proposed and what was reached."""

from collections.abc import Sequence

import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import NullLocator

from lib.report import figures, units
from lib.report.claims.ledger import CONTRADICTED, CORRECTED, NOT_TESTABLE, REPRODUCED, UNSUPPORTED, VERDICTS, Verdict
from lib.report.headlines import Headline

PARTS = {"A": "State space models", "B": "Vision-language models", "R": "The report itself"}


def all_verdicts(ax: Axes, verdicts: Sequence[Verdict]) -> Axes:
    """A square per claim, its verdict by colour and hatch, parts of the report one below the other."""
    palette = sns.color_palette("colorblind")
    looks = {
        REPRODUCED: {"facecolor": palette[2], "hatch": ""},
        CORRECTED: {"facecolor": palette[8], "hatch": "//"},
        UNSUPPORTED: {"facecolor": "0.85", "hatch": ".."},
        CONTRADICTED: {"facecolor": palette[3], "hatch": "xx"},
        NOT_TESTABLE: {"facecolor": "white", "hatch": ""},
    }
    shown = [part for part in PARTS if any(one.id[0] == part for one in verdicts)]
    for row, part in enumerate(shown):
        for column, one in enumerate(one for one in verdicts if one.id[0] == part):
            ax.barh(row, 0.9, 0.8, left=column, edgecolor="0.3", linewidth=0.6, **looks[one.verdict])
            box = {"facecolor": "white", "edgecolor": "none", "pad": 1.5}
            ax.text(column + 0.45, row, one.id, ha="center", va="center", fontsize="x-small", bbox=box)
    ax.set_yticks(range(len(shown)), [PARTS[part] for part in shown])
    ax.invert_yaxis()
    ax.set_xticks([])
    ax.grid(visible=False)
    for side in ax.spines.values():
        side.set_visible(False)
    counts = {word: sum(one.verdict == word for one in verdicts) for word in VERDICTS}
    handles = [
        Patch(edgecolor="0.3", label=f"{word}: {count}", **looks[word]) for word, count in counts.items() if count
    ]
    ax.legend(
        handles=handles, frameon=False, fontsize="small", loc="upper center", bbox_to_anchor=(0.5, -0.02), ncols=3
    )
    return ax


def proposed_and_reached(ax: Axes, found: Sequence[Headline]) -> Axes:
    """Time over the baseline's on a log axis, a row per topic: hollow what was proposed, filled what was reached."""
    bad, good = sns.color_palette("colorblind")[3], sns.color_palette("colorblind")[0]
    ax.axvline(1, **figures.BASELINE)
    for row, one in enumerate(found):
        ends = [1.0 if one.proposed is None else one.proposed.ratio, one.reached.ratio]
        ax.plot(ends, [row, row], color="0.7", linewidth=1.5, zorder=1)
        for point, colour, look in ((one.proposed, bad, "none"), (one.reached, good, "full")):
            if point is None:
                continue
            ax.plot(point.ratio, row, marker="o", markersize=9, color=colour, fillstyle=look, linestyle="none")
            above = point is one.reached
            ax.annotate(
                f"{units.times(point.ratio)}  {point.words}",
                (point.ratio, row),
                xytext=(0, 9 if above else -9),
                textcoords="offset points",
                ha="left" if point.ratio < 0.03 else "center",
                va="bottom" if above else "top",
                fontsize="small",
                color=colour,
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5},
                zorder=3,
            )
    ax.set_xscale("log")
    ax.set_xlim(0.008, 10)
    ax.set_ylim(len(found) - 0.45, -0.65)
    ax.set_xticks([0.01, 0.1, 1], ["0.01×", "0.1×", "baseline"])
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_yticks(range(len(found)), [one.topic for one in found])
    ax.grid(visible=False, axis="y")
    ax.set_xlabel("time / baseline's")
    looks = {"what the original report proposed": (bad, "none"), "what this book came to": (good, "full")}
    ax.legend(
        handles=[
            Line2D([], [], marker="o", markersize=8, color=colour, fillstyle=look, linestyle="none", label=label)
            for label, (colour, look) in looks.items()
        ],
        frameon=False,
        fontsize="small",
        loc="lower right",
        bbox_to_anchor=(1, 1),
        ncols=2,
    )
    return ax
