"""The picture of all verdicts; that of what was proposed and what was reached is in `headlines`."""

from collections.abc import Iterator, Sequence

import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.patches import Patch, Rectangle

from lib.report.claims.ledger import CONTRADICTED, CORRECTED, NOT_TESTABLE, REPRODUCED, UNSUPPORTED
from lib.report.claims.outcomes import MIXED, OUTCOMES, Fact, Outcome, facts
from lib.report.figures.headlines import proposed_and_reached as proposed_and_reached  # where notebooks look for it

PARTS = {"A": "State space models", "B": "Vision-language models", "R": "The report itself"}
ACROSS = 8  # claims in a line


def all_verdicts(ax: Axes, found: Sequence[Outcome]) -> Axes:
    """A square per claim, its outcome by colour and hatch, parts of the report one below the other.

    A frame joins claims that rest on one fact. Sized for an axes of about 5.6 inches, so that phones can show it.
    """
    palette = sns.color_palette("colorblind")
    looks = {
        REPRODUCED: {"facecolor": palette[2], "hatch": ""},
        CORRECTED: {"facecolor": palette[8], "hatch": "//"},
        UNSUPPORTED: {"facecolor": "0.85", "hatch": ".."},
        CONTRADICTED: {"facecolor": palette[3], "hatch": "xx"},
        MIXED: {"facecolor": palette[9], "hatch": "--"},
        NOT_TESTABLE: {"facecolor": "white", "hatch": ""},
    }
    row = 0.0
    for part, title in PARTS.items():
        here = [one for one in found if one.id[0] == part]
        if not here:
            continue
        words = {one.id: one.word for one in here}
        ax.text(0, row + 0.45, title, ha="left", va="bottom", fontsize="medium")
        placed = list(_placed(facts(here)))
        for fact, line, column in placed:
            top = row + 0.55 + line
            for step, id_ in enumerate(fact.ids):
                where = {"left": column + step + 0.05, "height": 0.8, "align": "edge"}
                ax.barh(top + 0.05, 0.9, edgecolor="0.3", linewidth=0.6, **where, **looks[words[id_]])
                box = {"facecolor": "white", "edgecolor": "none", "pad": 1.5}
                ax.text(column + step + 0.5, top + 0.45, id_, ha="center", va="center", fontsize="medium", bbox=box)
            if len(fact.ids) > 1:
                ax.add_patch(Rectangle((column, top), len(fact.ids), 0.9, fill=False, edgecolor="0.1", linewidth=2))
        row += 1.65 + placed[-1][1]
    ax.set(xlim=(-0.05, ACROSS + 0.05), ylim=(row, 0))
    ax.set_axis_off()
    used = [word for word in OUTCOMES if any(one.word == word for one in found)]
    ax.legend(
        handles=[Patch(edgecolor="0.3", label=word, **looks[word]) for word in used],
        frameon=False,
        fontsize="medium",
        loc="upper center",
        bbox_to_anchor=(0.5, 0),
        ncols=2,
    )
    return ax


def _placed(shown: Sequence[Fact]) -> Iterator[tuple[Fact, int, int]]:
    """A fact with the line and the column of its first square: claims that share one stay on one line."""
    line = column = 0
    for fact in shown:
        if column + len(fact.ids) > ACROSS:
            line, column = line + 1, 0
        yield fact, line, column
        column += len(fact.ids)
