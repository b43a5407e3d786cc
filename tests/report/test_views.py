"""What views refuse of frames: grids with a hole, and trainings without their seconds."""

import numpy as np
import pandas as pd
import pytest

from lib.report import accuracy, frames
from lib.report.frames import Missing
from lib.report.views.base import complete

GRID = pd.DataFrame(
    [(variant, length, order) for variant in "ab" for length in (8, 16) for order in (4, None)],
    columns=["variant", "length", "order"],
)


def test_a_whole_grid_is_itself():
    assert complete(GRID, "variant", "length") is GRID
    assert complete(GRID, ["variant", "order"], "length") is GRID
    assert complete(GRID.iloc[:1], "variant", "length").shape == (1, 3)


@pytest.mark.parametrize("hole", range(8))
def test_a_hole_anywhere_is_named(hole):
    lost = GRID.iloc[hole]
    order = None if np.isnan(lost["order"]) else lost["order"]
    said = f"no case with variant {lost['variant']}, order {order}, length {lost['length']} is recorded"
    with pytest.raises(Missing, match=said):
        complete(GRID.drop(index=hole), ["variant", "order"], "length")


def test_minutes_are_of_all_trainings_or_of_none():
    rows = pd.DataFrame(
        {
            "experiment": "e",
            "variant": ["a", "a", "b"],
            "runs": [np.array([60.0, 30.0]), np.array([]), np.array([30.0])],
        }
    )
    assert accuracy.training_minutes(rows) == 2  # before and after a training there are accuracies alone
    rows.at[2, "runs"] = np.array([])
    with pytest.raises(Missing, match="e b: no training has its seconds"):
        accuracy.training_minutes(rows)


def test_rounds_of_other_numbers_are_not_divided():
    rows = pd.DataFrame({"machine": "m", "batch": 1, "length": 8, "variant": ["baseline", "a"], "memory_bytes": 1.0})
    rows = rows.assign(flops=1.0, runs=[np.array([1.0]), np.array([1.0, 2.0])])
    with pytest.raises(ValueError, match="2 timed runs beside the baseline's 1"):
        frames.ratios(rows)
