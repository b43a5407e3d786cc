"""Comparisons at equal cost in one table: ahead, level and behind by task and method."""

import pandas as pd

from lib.report.frames.clip_equal import AHEAD, BEHIND, LEVEL, OTHER, OWN
from lib.report.tables.clip_equal import equal


def rows(*found):
    return pd.DataFrame(found, columns=["task", "against", "cheaper", "outcome", "gained"])


def test_counts_stand_by_how_the_two_are_of_equal_cost():
    operations = rows(("scenes", "x", OTHER, AHEAD, 0.2), ("cifar10", "x", OTHER, LEVEL, 0.0))
    time = rows(
        ("scenes", "x", OTHER, BEHIND, -0.03),
        ("scenes", "x", OTHER, LEVEL, 0.01),
        ("scenes", "x", OWN, BEHIND, -0.2),
        ("cifar10", "x", OTHER, AHEAD, 0.04),
    )
    text = equal(operations, time, "Table 1. Recorded").data
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if " x " in line]
    assert cells == [
        ["scenes", "x", "1 : 0 : 0", "0 : 1 : 1", "0 : 0 : 1", "−3.0 to +1.0"],
        ["CIFAR-10", "x", "0 : 1 : 0", "1 : 0 : 0", "–", "+4.0"],
    ]


def test_a_method_that_is_never_as_cheap_has_no_gain():
    operations = rows(("scenes", "x", OTHER, AHEAD, 0.2))
    text = equal(operations, rows(("scenes", "x", OWN, LEVEL, 0.0)), "Table 1. Recorded").data
    assert "–" in text
