"""The picture of all verdicts."""

from collections.abc import Sequence

import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.patches import Patch

from lib.report.claims import CONTRADICTED, CORRECTED, NOT_TESTABLE, REPRODUCED, UNSUPPORTED, VERDICTS, Verdict

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
