"""What was proposed and what was reached, from the cases of the headlines."""

from collections.abc import Sequence
from textwrap import wrap

import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator

from lib.report import figures
from lib.report.headlines import Headline

SIZE = (4.0, 5.6)  # inches: a phone shows it 360 pixels wide, letters of 8 points 10 pixels high
LETTERS = 58  # in a line of this width
TICKS = {0.01: "0.01×", 0.02: "0.02×", 0.05: "0.05×", 0.1: "0.1×", 0.2: "0.2×", 0.5: "0.5×", 1: "baseline", 2: "2×"}
REACHED, PROPOSED = "reached in this book", "proposed by the original report"


def proposed_and_reached(ax: Axes, found: Sequence[Headline]) -> Axes:
    """Time relative to the baseline's on a log axis, by topic: hollow what was proposed, filled what was reached.

    What each of them bought stands below the dots. Drawn for an axes of about SIZE.
    """
    bad, good = sns.color_palette("colorblind")[3], sns.color_palette("colorblind")[0]
    looks = {REACHED: (good, "full", "●"), PROPOSED: (bad, "none", "○")}
    across = {"transform": ax.get_yaxis_transform(), "va": "center"}  # x as a share of the width, y in lines
    ax.axvline(1, **figures.BASELINE)
    line, ratios = 0.5, [1.0]
    for one in found:
        points = {REACHED: one.reached} | ({PROPOSED: one.proposed} if one.proposed else {})
        ends = [point.ratio for point in points.values()]
        ratios += ends
        box = {"facecolor": "white", "edgecolor": "none", "pad": 0.5}
        ax.text(0, line, one.topic, fontsize=9, fontweight="bold", bbox=box, **across)
        ax.text(1, line, f"baseline: {one.baseline}", fontsize=8, ha="right", color="0.35", bbox=box, **across)
        ax.plot([ends[0], ends[1] if one.proposed else 1], [line + 1.1] * 2, color="0.7", linewidth=1.5, zorder=1)
        for name, point in points.items():
            colour, fill, _ = looks[name]
            ax.plot(point.ratio, line + 1.1, "o", markersize=8, color=colour, fillstyle=fill)
        line += 2.2
        for name, point in points.items():
            colour, _, dot = looks[name]
            for number, words in enumerate(wrap(f"{point}", LETTERS)):
                ax.text(0, line, f"{dot if not number else ' '} {words}", fontsize=8, color=colour, bbox=box, **across)
                line += 1
        line += 0.5
    low, high = 0.8 * min(ratios), 1.25 * max(ratios)
    ticks = [one for one in TICKS if low <= one <= high]
    ax.set(xscale="log", xlim=(low, high), ylim=(line, -0.3))
    ax.set_xticks(ticks, [TICKS[one] for one in ticks])
    ax.xaxis.set_minor_locator(NullLocator())
    ax.tick_params(axis="x", labelsize=8)
    ax.set_yticks([])
    ax.spines[["left", "right", "top"]].set_visible(False)
    ax.set_xlabel("time relative to the baseline's", fontsize=9)
    handles = [
        Line2D([], [], marker="o", markersize=8, color=colour, fillstyle=fill, linestyle="none", label=name)
        for name, (colour, fill, _) in looks.items()
    ]
    narrow = {"handletextpad": 0.1, "columnspacing": 0.8}
    ax.legend(
        handles=handles, frameon=False, fontsize=8, loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2, **narrow
    )
    return ax


def described(found: Sequence[Headline]) -> str:
    """What the picture shows, in words."""
    said = []
    for one in found:
        proposed = f"; {PROPOSED}, {one.proposed}" if one.proposed else ""
        said.append(f"{one.topic}, baseline {one.baseline}; {REACHED}, {one.reached}{proposed}.")
    return f"Dots on a log axis, time relative to the baseline's. {' '.join(said)}"
