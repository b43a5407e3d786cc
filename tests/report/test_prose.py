import re
from dataclasses import dataclass
from types import SimpleNamespace

import jinja2
import numpy as np
import pandas as pd
import pytest
from IPython.display import Markdown

from lib.report import prose, tables


@dataclass
class Numbers:
    ratio: float = 1.521
    kept: tuple = ("digits", "clocks")
    worse: tuple = ()


def render(tmp_path, monkeypatch, text):
    (tmp_path / "toy.md").write_text(text)
    monkeypatch.setattr(prose, "TEXTS", tmp_path)
    return prose.render("toy", Numbers()).data


def test_a_template_becomes_text_with_its_numbers(tmp_path, monkeypatch):
    text = "It takes {{ ratio | times }} on {{ kept | listed }}.{% if worse %} Worse.{% endif %}\n\n$\\frac{{#1}}{2}$"
    assert render(tmp_path, monkeypatch, text.replace("{{#1}}", "{#1}")).startswith(
        "It takes 1.52× on digits and clocks."
    )


def test_a_name_that_is_no_field_is_an_error(tmp_path, monkeypatch):
    with pytest.raises(jinja2.UndefinedError, match="ratios"):
        render(tmp_path, monkeypatch, "{{ ratios }}")


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("0.27 | percent", "27 %"),
        ("1.5 | change", "+50 %"),
        ("12345.6 | count", "12,346"),
        ("0.123 | fixed", "0.12"),
        ("0.123 | fixed(1)", "0.1"),
        ("-0.004 | signed_points", "−0.4"),
    ],
)
def test_filters_put_values_into_words(expression, words):
    assert prose._environment().from_string("{{ " + expression + " }}").render() == words


def test_an_extent_names_both_ends_once():
    assert prose.extent(pd.Series([1.5, float("nan"), 2.061])) == "1.50× to 2.06×"
    assert prose.extent(pd.Series([1.5, 1.501])) == "1.50×"


def test_counts_read_as_words():
    assert [prose.out_of(count, 3) for count in (0, 1, 3)] == ["none of 3", "1 of 3", "all 3"]


def test_a_difference_stands_with_its_interval_in_points():
    row = pd.Series({"difference": -0.004, "difference_low": -0.01, "difference_high": 0.002})
    assert prose.points(row) == "−0.4 ± 0.6"
    assert prose.points(row * 0.01) == "+0.0 ± 0.0"


def test_an_interval_that_is_lopsided_stands_with_both_ends():
    row = pd.Series({"difference": -0.012, "difference_low": -0.027, "difference_high": 0.006})
    assert prose.points(row) == "−1.2 [−2.7, +0.6]"
    assert prose.spread(0.988, 1.006, 0.973) == "98.8 [97.3, 100.6]"
    assert prose.spread(0.988, 1.0032, 0.9731) == "98.8 ± 1.5"  # to a twentieth of a point
    assert prose.spread(0.988, 0.998) == "98.8 ± 1.0"  # no lower end is known


def test_a_filter_takes_both_ends_where_they_are_known():
    shares = SimpleNamespace(mean=0.5, low=0.3, high=0.6), SimpleNamespace(mean=0.5, high=0.6)
    assert [prose.FILTERS["spread"](one) for one in shares] == ["50.0 [30.0, 60.0]", "50.0 ± 10.0"]
    assert prose.points(SimpleNamespace(difference=-0.02, difference_high=0.01)) == "−2.0 ± 3.0"


def test_seeds_that_were_counted_have_no_mean():
    assert prose.points(pd.Series({"difference": -0.6, "solved": 2.0, "of": 5.0})) == "solved 2 of 5"
    row = pd.Series({"difference": -0.004, "difference_low": -0.01, "difference_high": 0.002, "solved": np.nan})
    assert prose.points(row) == "−0.4 ± 0.6"


def test_an_extent_of_points_has_signs():
    assert prose.extent_of_points(pd.Series([-0.04, 0.003])) == "−4.0 to +0.3"
    assert prose.extent_of_points(pd.Series([0.01])) == "+1.0"


def test_a_folded_table_keeps_its_caption_in_sight_and_tells_its_rows():
    made = tables.table({"task": ["digits", "clocks"], "loss": [1, 2]}, "Table 4a. Losses")
    caption, fold, summary, rows, end = re.split(r"\n\n|(?<=>)\n", prose.folded(made).data)
    assert (caption, rows) == tuple(made.data.split("\n\n"))
    assert summary == "<summary>Table 4a: 2 rows</summary>"
    assert (fold, end) == ('<details class="folded-table">', "</details>")
    single = tables.table({"task": ["digits"]}, "Table 1. Tasks")
    assert "<summary>Table 1: 1 row</summary>" in prose.folded(single).data


NO_TABLES = [Markdown(text) for text in ("**Figure 1.** *Seen*\n\n| a |", "**Table 1.** *No rows*", "words", "")]


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("shown", [*NO_TABLES, "**Table 1.** *Words*", None, pd.DataFrame()])
def test_only_a_table_with_a_caption_folds(shown):
    with pytest.raises(ValueError, match="is no table with a caption"):
        prose.folded(shown)
