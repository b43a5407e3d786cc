"""Differences by seed: against scipy's paired test, corrected for their number, refused where a seed is alone."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from lib.report.frames import Missing
from lib.report.frames.paired import ABOVE, BELOW, TOGETHER, paired, separated

BASE = {0: 0.5, 1: 0.7, 2: 0.6, 3: 0.9}


def rows(variant, values, task="a"):
    return pd.DataFrame({"task": task, "variant": variant, "seed": list(values), "accuracy": list(values.values())})


def moved(by, spread=0.01):
    return {seed: one + by + spread * (-1) ** seed for seed, one in BASE.items()}


def compared(*made, base=None):
    return paired(pd.concat(made), rows("base", BASE) if base is None else base, ["variant"], "accuracy", ["task"])


def test_the_interval_is_that_of_a_paired_t_test():
    own = {0: 0.55, 1: 0.69, 2: 0.7, 3: 0.97}
    (found,) = compared(rows("b", own)).itertuples()
    test = stats.ttest_rel(list(own.values()), list(BASE.values()))
    low, high = test.confidence_interval()
    assert (found.difference_low, found.difference_high) == pytest.approx((low, high))
    assert found.p == pytest.approx(test.pvalue)
    assert (found.seeds, found.accuracy) == (4, pytest.approx(np.mean(list(own.values()))))
    assert found.differences == pytest.approx([0.05, -0.01, 0.1, 0.07])


def test_seeds_are_paired_whatever_their_order():
    turned = dict(reversed(moved(0.1, 0).items()))
    (found,) = compared(rows("b", turned)).itertuples()
    assert found.difference == pytest.approx(0.1)
    assert found.difference_high - found.difference_low == pytest.approx(0, abs=1e-9)


def test_what_has_no_base_is_left_out_and_a_lonely_seed_is_missing():
    assert compared(rows("b", moved(0), task="other")).empty
    with pytest.raises(Missing, match="a, b: seed 9 has nothing"):
        compared(rows("b", {**moved(0), 9: 1.0}))
    with pytest.raises(Missing, match="needs at least 2"):
        compared(rows("b", {0: 0.5}))
    with pytest.raises(ValueError, match="a, b: a seed is there twice"):
        compared(rows("b", BASE), rows("b", BASE))


def test_a_difference_is_a_word_after_correction():
    found = separated(compared(rows("up", moved(0.1)), rows("down", moved(-0.1)), rows("same", moved(0.001))), ["task"])
    assert dict(zip(found["variant"], found["word"], strict=True)) == {"up": ABOVE, "down": BELOW, "same": TOGETHER}


def test_more_tests_of_one_family_separate_less():
    weak = moved(0.02, 0.0105)  # p between a twentieth of one test and of ten
    alone = compared(rows("0", weak))
    assert 0.005 < alone["p"].item() < 0.05
    assert set(separated(alone, ["task"])["word"]) == {ABOVE}
    many = compared(*(rows(str(number), weak) for number in range(10)))
    assert set(separated(many, ["task"])["word"]) == {TOGETHER}
    assert set(separated(many, ["variant"])["word"]) == {ABOVE}
