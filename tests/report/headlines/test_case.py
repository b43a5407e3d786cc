"""A headline is of one case: a number of another model, or one that the text lacks, is refused."""

from dataclasses import replace

import pandas as pd
import pytest

from lib.report.frames import Missing
from lib.report.headlines import Headline, Measured, Model, Point
from lib.report.headlines.case import QUARTILES, measured, percent, points

SMALL, LARGE = Model("low", "digits", {"dim": 64}), Model("low", "digits", {"dim": 256})
TIME = Measured(0.36, 0.35, 0.37, "0.36×", "mrss_digits", "low", SMALL)
ACCURACY = Measured(0.056, 0.005, 0.107, "+5.6 ± 5.1", "mrss_digits", "low", SMALL)


def headline(**numbers):
    shown = {"time": TIME, "accuracy": ACCURACY} | numbers
    text = "It takes 0.36× the time for +5.6 ± 5.1 points; another one 0.88×."
    return Headline("topic", text, "mrss", "here", SMALL, shown, {}, "itself", None, Point(0.36, "low"))


def test_numbers_of_one_model_make_a_headline():
    assert headline().values == {
        "time": 0.36,
        "time, low": 0.35,
        "time, high": 0.37,
        "accuracy": 0.056,
        "accuracy, low": 0.005,
        "accuracy, high": 0.107,
    }


@pytest.mark.parametrize("other", [LARGE, replace(SMALL, task="PLAID"), replace(SMALL, words="dual")])
def test_a_time_of_one_model_beside_the_accuracy_of_another_is_refused(other):
    with pytest.raises(ValueError, match="topic: time is of"):
        headline(time=replace(TIME, model=other))


def test_a_number_that_the_text_lacks_is_refused():
    with pytest.raises(ValueError, match=r"topic: the text lacks time, '0.29×'"):
        headline(time=replace(TIME, printed="0.29×"))


def test_a_number_beside_it_may_be_of_another_model_and_counts_among_the_values():
    other = replace(TIME, value=0.88, low=None, high=None, printed="0.88×", model=LARGE)
    one = replace(headline(), beside={"dual, time": other})
    assert one.values["dual, time"] == 0.88
    assert "dual, time, low" not in one.values


def row(**values):
    return pd.Series({"variant": "low", **values})


def test_a_ratio_keeps_its_quartiles():
    found = measured(row(**dict(zip(QUARTILES, (0.5, 0.4, 0.6), strict=True))), QUARTILES, str, "scan", SMALL)
    assert (found.value, found.low, found.high, found.printed) == (0.5, 0.4, 0.6, "0.5")


def test_a_number_that_is_absent_is_missing():
    with pytest.raises(Missing, match="scan: low has no memory_ratio"):
        measured(row(memory_ratio=float("nan")), ("memory_ratio",), str, "scan", SMALL)


def test_a_difference_is_in_points_with_its_interval():
    found = points(row(difference=-0.022, difference_low=-0.105, difference_high=0.061), "mrss_plugs", SMALL)
    assert (found.printed, found.low, found.high) == ("−2.2 ± 8.3", -0.105, 0.061)


def test_a_share_has_both_ends_of_its_interval():
    found = percent(row(retained=0.988, retained_low=0.973, retained_high=1.006), "retained", "clip", SMALL)
    assert found.printed == "98.8 [97.3, 100.6] %"
