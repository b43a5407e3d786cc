"""Claims of the original report's repository after the report: what is in its commits decides, every way."""

import pandas as pd
import pytest

from lib.report import history
from lib.report.claims import history as judges
from lib.report.claims.ledger import CONTRADICTED, CORRECTED, REPRODUCED, UNSUPPORTED
from lib.report.frames import Missing

HERE = history.Source(file="a.ipynb", commit="5c91387")
THERE = history.Source(file="b.ipynb", commit="b4699e5")


def searches(**found):
    """The real searches, some of them with other places."""
    made = dict(history.history().searches)
    for key, places in found.items():
        key = key.replace("_", " ")
        assert key in made
        made[key] = made[key].model_copy(update={"found": places})
    return made


@pytest.mark.parametrize(
    ("counted", "verdict"),
    [
        ([100, 120, 90, 70], REPRODUCED),
        ([100, 120, 95, 90], CORRECTED),
        ([100, 290, 240, 214], CONTRADICTED),
    ],
)
def test_updates_are_saved_relative_to_the_single_resolution_baseline(counted, verdict):
    found = judges.updates_are_saved(counted, searches())
    assert found.verdict == verdict
    assert found.evidence.startswith("No file in any commit measures how many temporal updates")


SAME = {"agreement": 1.0, "accuracy": 1 / 32, "unreduced": 1 / 32, "answers": 1}
APART = {"agreement": 0.5, "accuracy": 0.4, "unreduced": 0.9, "answers": 30}


@pytest.mark.parametrize(("places", "verdict"), [((HERE,), REPRODUCED), ((), UNSUPPORTED)])
def test_a_consistency_without_code_is_unsupported(places, verdict):
    toy = {"start": SAME, "end": APART, "chance": 1 / 32, "images": 96}
    found = judges.consistency_is_there(searches(consistency=places), toy)
    assert found.verdict == verdict
    assert "100 % of the predictions with an accuracy of 3.1 %; chance is 3.1 %" in found.evidence
    assert "Read at the end token, they keep 50 %" in found.evidence


@pytest.mark.parametrize(
    ("means", "verdict"), [((0.97, 0.96), REPRODUCED), ((0.97, 0.6), UNSUPPORTED), ((0.1, 0.6), CONTRADICTED)]
)
def test_consistency_must_hold_on_every_task(means, verdict):
    rows = pd.DataFrame({"task": list("aabb"), "agreement": [means[0]] * 2 + [means[1]] * 2})
    assert judges.consistency_of_small_clips(rows).verdict == verdict


def test_checkpoints_that_disagree_decide_nothing():
    rows = pd.DataFrame({"task": list("aa"), "agreement": [0.99, 0.94]})  # their mean is kept
    assert judges.consistency_of_small_clips(rows).verdict == UNSUPPORTED
    rows = features(("a", 0.93, 0.51), ("a", 0.86, 0.43))  # their means are near
    assert judges.cosines_of_small_clips(rows).verdict == UNSUPPORTED


@pytest.mark.parametrize(
    ("keys", "patches", "verdict"),
    [((HERE,), (), REPRODUCED), ((), (HERE,), CONTRADICTED), ((), (), UNSUPPORTED)],
)
def test_scores_are_of_what_the_code_scores(keys, patches, verdict):
    found = searches(norms_of_keys_and_queries=keys, norms_of_patches=patches)
    assert judges.keys_are_scored(found).verdict == verdict


@pytest.mark.parametrize(("places", "verdict"), [((HERE,), REPRODUCED), ((), UNSUPPORTED)])
def test_an_analysis_without_code_is_unsupported(places, verdict):
    assert judges.qwen_is_analysed(searches(qwen=places)).verdict == verdict


@pytest.mark.parametrize(
    ("seven", "five", "verdict"),
    [((HERE,), (HERE,), REPRODUCED), ((), (HERE,), CORRECTED), ((), (), UNSUPPORTED)],
)
def test_of_two_cosines_both_must_be_printed(seven, five, verdict):
    found = judges.cosines_are_printed(searches(**{"cosine at 0.7": seven, "cosine at 0.5": five}))
    assert found.verdict == verdict


def features(*rows):
    made = [(task, keep, cosine) for task, *both in rows for keep, cosine in zip((0.7, 0.5), both, strict=True)]
    return pd.DataFrame(made, columns=["task", "keep", "cosine"])


@pytest.mark.parametrize(
    ("rows", "verdict"),
    [
        ([("a", 0.9, 0.5), ("b", 0.87, 0.44)], REPRODUCED),
        ([("a", 0.9, 0.5), ("b", 0.46, 0.46)], UNSUPPORTED),
        ([("a", 0.46, 0.46), ("b", 0.35, 0.32)], CONTRADICTED),
    ],
)
def test_both_cosines_must_be_near_on_every_task(rows, verdict):
    assert judges.cosines_of_small_clips(features(*rows)).verdict == verdict


def test_a_cosine_that_is_not_recorded_is_missed():
    rows = features(("a", 0.9, 0.5))
    with pytest.raises(Missing, match=r"keep 0\.7"):
        judges.cosines_of_small_clips(rows[rows["keep"] == 0.5])
    both = pd.concat([rows, features(("b", 0.9, 0.5)).iloc[1:]])
    with pytest.raises(Missing, match=r"keep 0\.7"):
        judges.cosines_of_small_clips(both)


@pytest.mark.parametrize(
    ("gathered", "verdict"), [((HERE, THERE), REPRODUCED), ((HERE,), CORRECTED), ((), CONTRADICTED)]
)
def test_positions_must_be_gathered_wherever_patches_are_chosen(gathered, verdict):
    found = searches(norms_of_patches=(HERE, THERE), gathered_positions=gathered)
    assert judges.positions_are_gathered(found).verdict == verdict


def test_where_something_is_is_said_with_file_and_commit():
    search = history.Search(what="prints a cosine", found=(HERE, THERE))
    assert judges.where(search) == "What prints a cosine: `a.ipynb` (5c91387) and `b.ipynb` (b4699e5)."
    assert judges.where(search.model_copy(update={"found": ()})) == "No file in any commit prints a cosine."
