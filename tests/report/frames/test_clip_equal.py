"""Reductions held against each other at equal cost: which comparisons are sure, one by one and together."""

import numpy as np
import pandas as pd
import pytest

from lib.experiments.clip_variants import UNREDUCED
from lib.report.frames import clip_equal
from lib.report.statistics import holm


def outcomes(**lost):
    """Answers of three checkpoints to 400 images: all of "ours" are right, others' first so many are wrong."""
    rows = []
    for name, count in {UNREDUCED: 0, "ours": 0, **lost}.items():
        for seed in range(3):
            hits = np.arange(400) >= count
            target = None if name == UNREDUCED else 0.5
            rows.append({"variant": name, "seed": seed, "target": target, "hits": hits, "retained": hits.mean()})
    return pd.DataFrame(rows).assign(machine="M", task="t", keep=0.5)


def met(**lost):
    found = clip_equal.at_equal(outcomes(**lost), "ours", "target", exactly=True)
    return found.set_index("against")


@pytest.mark.parametrize(("lost", "word"), [(0, "level"), (20, "ahead")])
def test_an_interval_without_zero_decides(lost, word):
    assert met(other=lost).loc["other", "outcome"] == word


def test_a_variant_that_loses_more_is_behind():
    rows = outcomes(other=20)
    swapped = rows.assign(variant=rows["variant"].replace({"ours": "other", "other": "ours"}))
    assert list(clip_equal.at_equal(swapped, "ours", "target", exactly=True)["outcome"]) == ["behind"]


def test_many_comparisons_are_adjusted_together():
    # Six of 400 images lost are sure beyond chance in one comparison, and not in one of forty.
    alone, among = met(other=6), met(other=6, **{f"peer {number}": 0 for number in range(40)})
    assert alone.loc["other", "outcome"] == "ahead"
    assert among.loc["other", "gained_low"] == alone.loc["other", "gained_low"] > 0
    assert among.loc["other", "outcome"] == "level"
    assert among.loc["other", "p"] == pytest.approx(holm([alone.loc["other", "p"], *[1.0] * 40])[0])
