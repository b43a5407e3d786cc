"""Prose whose numbers are computed: text with values already set in becomes Markdown for every reader."""

import re
from textwrap import dedent

import pandas as pd
from IPython.display import Markdown

from lib.report import units


def say(text: str) -> Markdown:
    """A paragraph or more of Markdown; the indentation that all lines share is removed."""
    return Markdown(dedent(text).strip())


def caption(text: str) -> Markdown:
    """A line for a figure or a table: `Figure 1. What is seen`, its number in bold."""
    return Markdown(re.sub(r"^((?:Figure|Table) \w+\.) (.*)$", r"**\1** *\2*", text))


def extent(ratios: pd.Series) -> str:
    """Smallest and largest of some ratios: `1.62× to 2.10×`."""
    known = ratios.dropna()
    low, high = units.times(known.min()), units.times(known.max())
    return low if low == high else f"{low} to {high}"


def per_machine(frame: pd.DataFrame, column: str) -> str:
    """A ratio on each machine: `1.62× on A and 1.48× on B`, or of the only one: `1.62×`."""
    many = len(frame) > 1
    return units.listed(
        [units.times(row[column]) + (f" on {row['machine']}" if many else "") for _, row in frame.iterrows()]
    )


def out_of(count: int, total: int) -> str:
    """`none of 3`, `1 of 3`, `all 3`."""
    return f"none of {total}" if count == 0 else f"all {total}" if count == total else f"{count} of {total}"


def points(row) -> str:
    """A difference of accuracies in points, and how far its interval goes to either side: `−0.4 ± 0.6`.

    row  of `lib.report.accuracy.compared`
    """
    middle = round(100 * row.difference, 1) + 0.0  # a zero more, so that none is negative
    return f"{middle:+.1f} ± {100 * (row.difference_high - row.difference):.1f}".replace("-", "−")


def extent_of_points(differences: pd.Series) -> str:
    """Smallest and largest difference of accuracies in points: `−4.0 to +0.3`."""
    low, high = (f"{100 * one:+.1f}".replace("-", "−") for one in (differences.min(), differences.max()))
    return low if low == high else f"{low} to {high}"
