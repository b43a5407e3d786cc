"""What key pictures have in common: letters, colours, ratios along an axis."""

import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import FuncFormatter, NullLocator, PercentFormatter

from lib.report import units

LETTERS = 10
COLOURS = sns.color_palette("colorblind")
OURS, OTHERS = COLOURS[0], COLOURS[7]


def as_times(axis: Axis) -> None:
    """Ticks as ratios, without those between the decades of a log axis."""
    axis.set_major_formatter(FuncFormatter(lambda value, _: units.times(value)))
    axis.set_minor_locator(NullLocator())


def as_percent(axis: Axis) -> None:
    """Ticks as shares in percent."""
    axis.set_major_formatter(PercentFormatter(1, decimals=0, symbol=" %"))


def as_sizes(ax: Axes, sizes: list[int]) -> None:
    """A log axis from left to right with a tick at each size."""
    ax.set_xscale("log")
    ax.set_xticks(sizes, [f"{size}" for size in sizes])
    ax.xaxis.set_minor_locator(NullLocator())


def legend(ax: Axes, handles: list | None = None, above: bool = False) -> None:
    """The legend inside, at the lower right, or in one line above."""
    where = {"loc": "lower center", "bbox_to_anchor": (0.5, 1), "ncols": 2} if above else {"loc": "lower right"}
    ax.legend(handles=handles, frameon=False, fontsize=LETTERS, **where)
