"""Which case a headline is of is decided by a rule, whatever comes out."""

import pandas as pd
import pytest
from compared_records import BASELINE, HYBRID, LOW, USUAL, compared, table
from rehearsal import alone

from lib.report.frames import Missing
from lib.report.headlines import clip, distill, mrss
from lib.report.headlines.case import Measured, Model
from lib.tasks.training.protocol import STEPS, TIME


def students(*lows):
    return pd.DataFrame({"order": [2, 4, 8, 16], "difference_low": lows})


TIMED = pd.DataFrame({"variant": [f"recurrence, {states} states" for states in (4, 8, 16)]})


def test_the_fewest_states_are_those_that_surely_keep_the_accuracy_and_are_timed():
    assert distill.fewest(students(0.0, -0.02, -0.01, 0.0), TIMED) == 8


@pytest.mark.parametrize("lows", [(0.0, -0.02, -0.02, -0.02), (-0.02, -0.02, -0.02, -0.02)])
def test_where_none_that_is_timed_keeps_it_there_is_no_headline(lows):
    with pytest.raises(Missing, match="no reduced model that was timed keeps the accuracy on digits"):
        distill.fewest(students(*lows), TIMED)


def test_the_best_other_method_retains_most():
    rows = pd.DataFrame({"variant": ["a", "b", "c"], "retained": [0.8, 0.9, 0.9], "latency_ratio": [0.5, 0.7, 0.6]})
    assert clip.best(rows)["variant"] == "c"
    with pytest.raises(Missing):
        clip.best(rows.iloc[:0])


def test_the_form_is_the_one_that_misses_fewest_parts_of_the_bar_and_trains_fastest():
    fast, slow = (0.3, {STEPS: 1.5, TIME: 1.2}), (0.5, {STEPS: 1.005, TIME: 0.9})
    made = compared(variants={BASELINE: USUAL[BASELINE], LOW: fast, HYBRID: slow})
    assert mrss.closest(table(made)) == HYBRID
    made = compared(variants={BASELINE: USUAL[BASELINE], LOW: (0.3, slow[1]), HYBRID: slow})
    assert mrss.closest(table(made)) == LOW
    with pytest.raises(Missing, match="no low-rate form was trained on tagging"):
        mrss.closest(table(compared(variants={BASELINE: USUAL[BASELINE]})))


def test_where_a_low_rate_does_not_help_the_text_says_so(tmp_path):
    assert mrss.elsewhere(alone(tmp_path / "a", compared(), compared("filling"))) == ""
    lost = {BASELINE: USUAL[BASELINE], LOW: (0.5, {STEPS: 1.2, TIME: 1.1})}
    assert mrss.elsewhere(alone(tmp_path / "b", compared(), compared("filling", lost))) == (
        "After equal steps every such form has a higher mean loss on filling in. "
        "In equal time no such form has a lower loss on filling in."
    )
    patches = "patches, r = 4"
    right = {patches: [0.9, 0.91, 0.92], LOW: [0.5, 0.51, 0.52], HYBRID: [0.5, 0.51, 0.52]}
    made = compared("plaid", USUAL | {patches: (0.2, {STEPS: 1.0, TIME: 0.8})}, right=right)
    assert mrss.elsewhere(alone(tmp_path / "c", compared(), made)) == (
        "With one answer per sequence, patches before a plain Mamba are better (PLAID, its own split)."
    )
    ahead = {patches: [0.5, 0.51, 0.52], LOW: [0.9, 0.91, 0.92], HYBRID: [0.5, 0.51, 0.52]}
    other = compared("vowels", USUAL | {patches: (0.2, {STEPS: 1.0, TIME: 0.8})}, right=ahead)
    assert mrss.elsewhere(alone(tmp_path / "d", compared(), made, other)).endswith(
        "are better (PLAID, its own split), or a form is (JapaneseVowels)."
    )


def test_where_it_is_nowhere_ahead_of_a_small_model_the_text_says_so():
    assert distill.gained({}) == ["At no number of states is it surely ahead of a model that is small from the start."]
    ahead = Measured(
        0.135, 0.09, 0.18, "+13.5 ± 4.5", "distillation_digits", "x", Model("S4D", "digits", {"states": 2})
    )
    assert distill.gained({"gain at 2 states": ahead}) == [
        "Against a model of as many states from the start it is surely ahead at 2 states alone.",
        "At 2 states, by +13.5 ± 4.5 points.",
    ]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("low, r = 4", "all at 1/4 of the temporal resolution"),
        ("hybrid, r = 8", "2 of them at the full temporal resolution and 2 at 1/8 of it"),
        ("hybrid 1 + 3, r = 8", "1 of them at the full temporal resolution and 3 at 1/8 of it"),
    ],
)
def test_blocks_are_told_by_their_rates(words, said):
    assert mrss.rates(Model(words, "tagging", {"layers": 4})) == said
