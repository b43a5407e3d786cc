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


def joined(*texts: Markdown) -> Markdown:
    """Quotations below each other, as one: an abstract whose parts have numbers of their own."""
    return Markdown("\n>\n".join(text.data for text in texts))


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


def folded(table: Markdown) -> Markdown:
    """The same table behind a fold that tells its number and its rows; its caption, where links lead, stays in sight.

    table    caption, an empty line, and rows of Markdown, as `lib.report.tables.table` makes it
    raises   ValueError, quoting what is there, for what does not begin with a table's caption and go on with rows
    """
    said = str(getattr(table, "data", table))
    line, _, rows = said.partition("\n\n")
    found = re.match(r"\*\*(Table \w+)\.\*\* ", line)
    if not found or not rows.startswith("|"):
        raise ValueError(f"{said[:40]!r} is no table with a caption: only such a one folds")
    count = len(rows.strip().splitlines()) - 2
    summary = f"<summary>{found[1]}: {count} row{'s' if count != 1 else ''}</summary>"
    return Markdown(f'{line}\n\n<details class="folded-table">\n{summary}\n\n{rows}\n\n</details>')


def extent(ratios: pd.Series) -> str:
    """Smallest and largest of some ratios: `1.62× to 2.10×`."""
    known = ratios.dropna()
    low, high = units.times(known.min()), units.times(known.max())
    return low if low == high else f"{low} to {high}"


def out_of(count: int, total: int) -> str:
    """`none of 3`, `1 of 3`, `all 3`."""
    return f"none of {total}" if count == 0 else f"all {total}" if count == total else f"{count} of {total}"


def around(mean: float, low: float, high: float, sign: str = "") -> str:
    """A share in percent, or a difference in points, and its interval.

    `98.7 ± 0.6` where it goes as far to either side, to a twentieth of a point; else `98.8 [97.1, 100.5]`.

    sign   "+" for a difference, so that it always has one
    """
    middle, low, high = 100 * mean, 100 * low, 100 * high
    if abs((middle - low) - (high - middle)) < 0.05:
        return f"{_tenths(middle, sign)} ± {_tenths(max(middle - low, high - middle))}"
    return f"{_tenths(middle, sign)} [{_tenths(low, sign)}, {_tenths(high, sign)}]"


def points(row) -> str:
    """A difference of accuracies in points with its interval, see `around`; of seeds that were counted `solved 2 of 5`.

    row  of `lib.report.accuracy.compared`; without a lower bound the interval goes as far to either side
    """
    if pd.notna(count := getattr(row, "solved", None)):
        return f"solved {int(count)} of {int(row.of)}"
    low = getattr(row, "difference_low", 2 * row.difference - row.difference_high)
    return around(row.difference, low, row.difference_high, "+")


def spread(mean: float, high: float, low: float | None = None) -> str:
    """A share in percent and its interval, see `around`; without a lower bound it goes as far to either side."""
    return around(mean, 2 * mean - high if low is None else low, high)


def _tenths(value: float, sign: str = "") -> str:
    found = units.signed(value)
    return found if sign else found.removeprefix("+")


def extent_of_points(differences: pd.Series) -> str:
    """Smallest and largest difference of accuracies in points: `−4.0 to +0.3`."""
    low, high = (units.signed(100 * one) for one in (differences.min(), differences.max()))
    return low if low == high else f"{low} to {high}"


FILTERS = {
    "about": units.about,
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
    "spread": lambda row: spread(row.mean, row.high, getattr(row, "low", None)),
    "signed_points": lambda value: units.signed(100 * value),
}
