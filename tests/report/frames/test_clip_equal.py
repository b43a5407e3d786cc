"""One reduction against others at equal cost: by recorded settings, never by a line between them."""

import numpy as np
import pandas as pd
import pytest

from lib.experiments.clip_variants import UNREDUCED
from lib.report.frames import Missing, clip_equal
from lib.report.frames.clip_equal import AHEAD, BEHIND, LEVEL, OTHER, OWN

IMAGES = 400


def rows(variant, time, right, target=0.5, seeds=(0, 1)):
    """A setting on two checkpoints that answer the same images rightly; the unreduced one answers 300 of 400."""
    hits = np.arange(IMAGES) < right
    at = {"machine": "M", "task": "scenes", "variant": variant, "keep": right / IMAGES, "target": target, "time": time}
    return [{**at, "seed": seed, "retained": right / 300, "hits": hits} for seed in seeds]


def frame(*settings):
    whole = rows(UNREDUCED, np.nan, 300, target=np.nan)
    return pd.DataFrame([*whole, *(row for one in settings for row in one)])


def test_each_setting_stands_beside_the_dearest_one_that_costs_no_more():
    found = clip_equal.at_equal(
        frame(rows("ours", 0.5, 200), rows("ours", 0.8, 280), rows("x", 0.4, 150), rows("x", 0.7, 290)), "ours", "time"
    )
    pairs = {(row.cheaper, row.own, row.other): row for row in found.itertuples()}
    assert set(pairs) == {(OTHER, 0.5, 0.4), (OTHER, 0.8, 0.7), (OWN, 0.5, 0.7)}  # at 0.4 ours has no setting
    assert pairs[OTHER, 0.5, 0.4].outcome == AHEAD
    assert pairs[OTHER, 0.8, 0.7].outcome == BEHIND
    assert pairs[OTHER, 0.8, 0.7].gained == pytest.approx(-10 / 300)
    assert pairs[OWN, 0.5, 0.7].own_retained == pytest.approx(200 / 300)


def test_equal_means_the_same_cost_where_it_is_asked_for():
    found = clip_equal.at_equal(
        frame(rows("ours", 0.5, 200), rows("x", 0.4, 150), rows("y", 0.5, 200)), "ours", "time", exactly=True
    )
    assert list(found["against"]) == ["y"]
    assert list(found["outcome"]) == [LEVEL]


def test_a_difference_whose_interval_holds_zero_is_level():
    assert [clip_equal.outcome(*one) for one in ((0.1, 0.2), (-0.2, -0.1), (-0.1, 0.2), (0, 0.2))] == [
        AHEAD, BEHIND, LEVEL, LEVEL,
    ]  # fmt: skip


def test_outcomes_are_counted_with_some_and_with_all_others():
    made = pd.DataFrame({"against": ["a", "a", "b"], "outcome": [AHEAD, LEVEL, BEHIND]})
    found = clip_equal.split(made, ["a"])
    assert vars(found["tome"]) == {"total": 2, "ahead": 1, "level": 1, "behind": 0}
    assert vars(found["others"]) == {"total": 1, "ahead": 0, "level": 0, "behind": 1}


def test_settings_of_other_checkpoints_are_refused():
    with pytest.raises(Missing, match=r"settings of checkpoints \[0\], \[0, 1\]"):
        clip_equal.at_equal(frame(rows("ours", 0.5, 200, seeds=[0]), rows("x", 0.5, 100)), "ours", "time")
    with pytest.raises(Missing, match="'ours' has no time"):
        clip_equal.at_equal(frame(rows("ours", np.nan, 200), rows("x", 0.5, 100)), "ours", "time")
