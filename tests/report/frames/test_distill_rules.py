"""Rules on few states: each is turned both ways, and one that nothing was recorded for is missing."""

from dataclasses import replace

import pandas as pd
import pytest

from lib.report.frames import Missing
from lib.report.frames.distill_rules import NO, ON_AVERAGE, SURE, Case, at_share, fewest, ranked, recall
from lib.report.frames.paired import paired

BASE = (0.9, 0.8, 0.85)


def against(variant, lost, order=2, spread=0.001, **columns):
    """A row of `paired`: three seeds that lose so much, and a little more or less."""
    own = [one - lost + spread * number for number, one in enumerate(BASE, start=-1)]
    seeds = dict(seed=range(3), task="a", bank="S5", states=64) | columns
    rows = pd.DataFrame({"accuracy": own, "variant": variant, "order": order, **seeds})
    base = pd.DataFrame({"accuracy": BASE, **seeds})
    made = paired(rows, base, ["variant", "order"], "accuracy", ["task", "bank"])
    return made.assign(**{name: value for name, value in seeds.items() if name != "seed"})


def test_the_best_model_of_few_enough_states_stands_for_a_bank():
    rows = pd.concat([against("x", 0.02), against("y", 0.01), against("z", 0.0, order=4)], ignore_index=True)
    (case,) = at_share(rows)
    assert (case.variant, case.order, case.difference) == ("y", 2, pytest.approx(-0.01))
    with pytest.raises(Missing, match=r"no model with 0.03125 of its original's states"):
        at_share(rows[rows["order"] == 4])


@pytest.mark.parametrize(
    ("lost", "spread", "kept"),
    [
        (0.0, 0.001, True),
        (-0.05, 0.001, True),  # a gain is no loss
        (0.005, 0.001, False),  # less than a point, and beyond the interval
        (0.005, 0.01, True),
        (0.02, 0.05, False),  # an interval as wide as that is no evidence
    ],
)
def test_no_loss_is_one_within_the_interval_and_within_a_point(lost, spread, kept):
    (case,) = at_share(against("x", lost, spread=spread))
    assert case.kept is kept


def test_the_fewest_states_that_are_kept_are_found_or_there_are_none():
    rows = [against("x", 0.1, order=1), against("x", 0.0, order=4), against("y", 0.0, order=8)]
    (case,) = fewest(pd.concat(rows, ignore_index=True))
    assert case.order == 4
    assert fewest(rows[0]) == []


def judged(lost_by_reduction, lost_from_scratch, spread=0.001, chances=1):
    rows = [against("best", lost_by_reduction, 4, spread, healed=True), against("other", 0.3, 4, healed=True)]
    rows += [against("before", 0.0, 4, healed=False), against("small", lost_from_scratch, 4, spread, healed=False)]
    return recall(pd.concat(rows, ignore_index=True), "a", 16, "small", ("best", "other", "before"), chances)


@pytest.mark.parametrize(
    ("reduction", "scratch", "spread", "kept", "fails", "met"),
    [
        (0.0, 0.2, 0.001, SURE, SURE, SURE),
        (0.005, 0.2, 0.02, ON_AVERAGE, SURE, ON_AVERAGE),
        (0.0, 0.06, 0.02, ON_AVERAGE, ON_AVERAGE, ON_AVERAGE),
        (0.03, 0.2, 0.001, NO, SURE, NO),
        (0.0, 0.01, 0.001, SURE, NO, NO),
        (0.03, 0.01, 0.001, NO, NO, NO),
    ],
)
def test_recall_is_kept_where_small_models_fail(reduction, scratch, spread, kept, fails, met):
    found = judged(reduction, scratch, spread)
    assert (found.kept, found.fails, found.met) == (kept, fails, met)
    assert found.train_small == (fails == NO)
    assert (found.states, found.reduced.variant, found.scratch.variant) == (4, "best", "small")  # no "before"


def test_more_chances_make_a_bar_harder():
    assert judged(0.0, 0.2, 0.001).met == SURE
    assert judged(0.0, 0.2, 0.001, chances=20).met == ON_AVERAGE


def test_recall_without_a_control_or_a_reduction_is_missing():
    small, made = against("small", 0.1, 4, healed=False), against("best", 0.1, 4, healed=True)
    with pytest.raises(Missing, match="a: no reduction to 4 states"):
        recall(small, "a", 16, "small", ["best"])
    with pytest.raises(Missing, match="small"):
        recall(made, "a", 16, "small", ["best"])


def criteria(**losses):
    rows = [
        {"variant": name, "seed": seed, "value": base - lost + 0.001 * ((seed + number) % 3 - 1)}
        for number, (name, lost) in enumerate(losses.items())
        for seed, base in enumerate(BASE)
    ]
    return pd.DataFrame(rows)


def test_criteria_are_ranked_and_those_behind_are_named():
    found = ranked(criteria(far=0.5, best=0.0, near=0.0005), "value")
    assert (found.best, found.names, found.behind) == ("best", ("best", "near", "far"), ("far",))
    assert (found.differ, found.alone) == (True, False)
    assert found.extent == pytest.approx(0.5, abs=0.01)


def test_criteria_that_end_together_do_not_differ():
    found = ranked(criteria(a=0.0, b=0.0005, c=0.001), "value")
    assert not found.differ
    assert not found.alone


def test_one_criterion_may_stand_alone():
    assert ranked(criteria(a=0.0, b=0.2, c=0.3), "value").alone


def test_of_a_loss_the_lowest_is_best():
    found = ranked(criteria(a=0.0, b=0.2), "value", lowest=True)
    assert (found.best, found.behind) == ("b", ("a",))
    with pytest.raises(Missing, match="1 criteria"):
        ranked(criteria(a=0.0), "value")


def test_a_case_of_a_mamba_has_no_bank():
    row = against("x", 0.0).iloc[0].drop("bank")
    assert Case.of(row) == replace(Case.of(against("x", 0.0).iloc[0]), bank="")
