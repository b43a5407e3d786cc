"""Which case a headline is of is decided by a rule, whatever comes out."""

import pandas as pd
import pytest

from lib.report.frames import Missing
from lib.report.headlines import clip, distill, mrss
from lib.report.headlines.case import Measured, Model


def students(*lows):
    return pd.DataFrame({"order": [2, 4, 8, 16], "difference_low": lows})


TIMED = pd.DataFrame({"variant": [f"recurrence, {states} states" for states in (4, 8, 16)]})


def test_the_fewest_states_are_those_that_surely_keep_the_accuracy_and_are_timed():
    assert distill.fewest(students(0.0, -0.02, -0.01, 0.0), TIMED) == 8


@pytest.mark.parametrize("lows", [(0.0, -0.02, -0.02, -0.02), (-0.02, -0.02, -0.02, -0.02)])
def test_where_none_that_is_timed_keeps_it_there_is_no_headline(lows):
    with pytest.raises(Missing, match="no reduced model that was timed keeps the accuracy on digits"):
        distill.fewest(students(*lows), TIMED)


def test_the_fastest_form_is_one_that_keeps_the_accuracy():
    after = pd.DataFrame({"variant": ["a", "b", "c"], "verdict": ["lost", "kept on average", "kept"]})
    cost = pd.DataFrame({"variant": ["a", "b", "c"], "latency_ratio": [0.1, 0.2, 0.3]})
    assert mrss.fastest(after, cost, without=()) == "b"
    assert mrss.fastest(after, cost, without=("b",)) == "c"
    assert mrss.fastest(after, cost, without=("b", "c")) is None


def test_the_best_other_method_retains_most():
    rows = pd.DataFrame({"variant": ["a", "b", "c"], "retained": [0.8, 0.9, 0.9], "latency_ratio": [0.5, 0.7, 0.6]})
    assert clip.best(rows)["variant"] == "c"
    with pytest.raises(Missing):
        clip.best(rows.iloc[:0])


def test_where_nothing_is_lost_the_text_says_so():
    assert mrss.lost({}) == "It keeps the accuracy on all tasks, by mean or surely."
    one = Measured(-0.02, -0.1, 0.06, "−2.2 ± 8.3", "mrss_plugs", "low", Model("low", "PLAID"))
    assert mrss.lost({"PLAID, accuracy": (one, "PLAID (words)")}) == (
        "It is not shown to keep the accuracy on PLAID (words)."
    )


def test_where_it_is_nowhere_ahead_of_a_small_model_the_text_says_so():
    assert distill.gained({}) == "At no number of states is it surely ahead of a model that is small from the start."
    ahead = Measured(
        0.135, 0.09, 0.18, "+13.5 ± 4.5", "distillation_digits", "x", Model("S4D", "digits", {"states": 2})
    )
    assert distill.gained({"gain at 2 states": ahead}) == (
        "Against a model of as many states from the start it is surely ahead at 2 (+13.5 ± 4.5 points) alone."
    )
