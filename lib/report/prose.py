"""Prose whose numbers are computed: templates of `book/_text` become Markdown for every reader.

A template is Jinja's. Its names are the fields of a chapter's `Numbers`; its filters are below, and say how a value in
base units becomes words: `{{ ratio | times }}`, `{{ share | percent }}`, `{{ names | listed }}`.
"""

import re
from dataclasses import fields
from typing import Any

import jinja2
import pandas as pd
from IPython.display import Markdown

from lib.paths import BOOK, in_repository
from lib.report import units

TEXTS = BOOK / "_text"


def render(name: str, numbers: Any) -> Markdown:
    """The text of a template with its numbers.

    name     below book/_text, without ending: "mrss/abstract"
    numbers  a dataclass, whose fields are the template's names
    raises   jinja2.UndefinedError, naming it, for a name that is no field; jinja2.TemplateNotFound
    """
    held = {one.name: getattr(numbers, one.name) for one in fields(numbers)}
    return Markdown(_environment().get_template(f"{name}.md").render(held).strip())


def _environment() -> jinja2.Environment:
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(in_repository(TEXTS)),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,
        comment_start_string="{##",  # LaTeX has {# of its own
        comment_end_string="##}",
    )
    made.filters |= FILTERS
    return made


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


def spread(mean: float, high: float) -> str:
    """A share in percent, and how far its interval goes to either side: `98.7 ± 0.6`."""
    return f"{100 * mean:.1f} ± {100 * (high - mean):.1f}"


def extent_of_points(differences: pd.Series) -> str:
    """Smallest and largest difference of accuracies in points: `−4.0 to +0.3`."""
    low, high = (f"{100 * one:+.1f}".replace("-", "−") for one in (differences.min(), differences.max()))
    return low if low == high else f"{low} to {high}"


FILTERS = {
    "times": units.times,
    "percent": units.share,
    "change": units.change,
    "tiny": units.tiny,
    "giga": units.giga,
    "binary": units.binary,
    "ms": units.milliseconds,
    "listed": lambda items: units.listed([str(item) for item in items]),
    "extent": extent,
    "extent_of_points": extent_of_points,
    "out_of": out_of,
    "fixed": lambda value, digits=2: f"{value:.{digits}f}",
    "count": lambda value: f"{value:,.0f}",
    "points": points,
    "spread": lambda row: spread(row.mean, row.high),
    "signed_points": lambda value: f"{100 * value:+.1f}".replace("-", "−"),
}
