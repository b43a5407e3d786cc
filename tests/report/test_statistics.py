"""Intervals and families of tests against scipy, and by how often they hold the truth in simulations."""

import numpy as np
import pytest
from scipy import stats

from lib.report import statistics
from lib.report.frames import Missing

VALUES = [0.91, 0.88, 0.95, 0.9, 0.93]


def bounds(interval):
    return interval.low, interval.high


def covered(intervals, truth=0.0):
    return np.mean([one.low <= truth <= one.high for one in intervals])


@pytest.mark.parametrize("confidence", [0.9, 0.95])
def test_a_paired_interval_is_scipys(confidence):
    found = statistics.paired_t(VALUES, confidence)
    expected = stats.ttest_1samp(VALUES, 0).confidence_interval(confidence)
    assert bounds(found) == pytest.approx((expected.low, expected.high))
    assert found.mean == pytest.approx(np.mean(VALUES))


def test_a_correction_widens_the_interval_by_the_sizes_of_the_split():
    plain, corrected = statistics.paired_t(VALUES), statistics.corrected_t(VALUES, tested=1, trained=3)
    assert (corrected.high - corrected.mean) / (plain.high - plain.mean) == pytest.approx(np.sqrt(1 + 5 / 3))
    assert corrected.mean == plain.mean


def test_splits_of_one_collection_need_the_correction():
    draw = np.random.default_rng(0)
    collections = draw.normal(size=(2000, 1, 40)).repeat(10, axis=1)
    values = draw.permuted(collections, axis=2)[..., :10].mean(2)  # ten splits of each; 10 are tested, 30 trained
    assert covered(map(statistics.paired_t, values)) < 0.75
    assert 0.93 < covered(statistics.corrected_t(row, 10, 30) for row in values) < 0.97


@pytest.mark.parametrize("sizes", [(0, 10), (10, 0), (-1, 10)])
def test_a_split_without_sequences_is_refused(sizes):
    with pytest.raises(ValueError, match=f"tested = {sizes[0]}, trained = {sizes[1]}"):
        statistics.corrected_t(VALUES, *sizes)


def test_a_cluster_counts_once_however_many_values_it_has():
    found = statistics.clustered_t([1, 1, 3, 2, 4, 9], list("aabccc"))
    assert found == statistics.clustered_t([1, 3, 5], list("abc"))
    expected = stats.ttest_1samp([1, 3, 5], 0).confidence_interval()
    assert bounds(found) == pytest.approx((expected.low, expected.high))


def test_values_that_share_a_checkpoint_need_clusters():
    draw = np.random.default_rng(0)
    values = np.repeat(draw.normal(size=(1000, 3)), 2, axis=1)[:, :5] + 0.1 * draw.normal(size=(1000, 5))
    assert covered(map(statistics.paired_t, values)) < 0.9
    assert 0.93 < covered(statistics.clustered_t(row, [0, 0, 1, 1, 2]) for row in values) < 0.97


def answers(checkpoints, images, apart, draw):
    """Answers, one image as hard for all checkpoints, whose skills are so far `apart`; the truth is 0."""
    skill, ease = apart * draw.normal(size=(checkpoints, 1)), 0.5 * draw.normal(size=(1, images))
    return skill + ease + 0.5 * draw.normal(size=(checkpoints, images))


@pytest.mark.parametrize("apart", [0.0, 0.04, 0.5])
def test_the_union_holds_the_truth_whichever_spread_is_larger(apart):
    draw, found = np.random.default_rng(0), []
    for seed in range(200):
        hits = answers(3, 100, apart, draw)
        means = statistics.resampled(hits[..., None], generator_seed=seed, resamples=400)[..., 0].mean(1)
        images = statistics.Interval(hits.mean(), *statistics.percentiles(means), statistics.BOOTSTRAP)
        found.append((images, statistics.paired_t(hits.mean(1))))
    images, checkpoints, union = (
        covered(one) for one in (*zip(*found, strict=True), [statistics.wider(*pair) for pair in found])
    )
    assert union > 0.92
    if apart == 0:
        assert images > 0.92  # which Student's over checkpoints, who share their images, is not
        assert checkpoints < 0.9
    if apart == 0.5:
        assert images < 0.85  # of three checkpoints a bootstrap knows too little
        assert checkpoints > 0.92


def test_all_settings_at_once_are_the_bootstrap_of_each():
    draw = np.random.default_rng(1)
    hits = draw.random((3, 50, 2)) < [0.8, 0.6]
    shares = statistics.resampled(hits, generator_seed=5, resamples=100)
    assert shares.shape == (100, 3, 2)
    low, high = statistics.percentiles((shares[..., 1] / shares[..., 0]).mean(1))
    one = statistics.bootstrap(
        hits, lambda part: (part[..., 1].mean(1) / part[..., 0].mean(1)).mean(), generator_seed=5, resamples=100
    )
    assert bounds(one) == pytest.approx((low, high))
    assert one.mean == pytest.approx((hits[..., 1].mean(1) / hits[..., 0].mean(1)).mean())


def test_a_bootstrap_is_its_seeds():
    hits = np.random.default_rng(1).random((3, 40)) < 0.7
    first, again, other = (
        statistics.bootstrap(hits, np.mean, generator_seed=seed, resamples=200) for seed in (0, 0, 1)
    )
    assert first == again
    assert first != other


def test_of_one_checkpoint_the_images_are_resampled():
    hits = np.random.default_rng(0).random((1, 400)) < 0.5
    found = statistics.bootstrap(hits, np.mean, generator_seed=0)
    assert found.how == statistics.IMAGES
    assert found.high - found.low == pytest.approx(2 * 1.96 * np.sqrt(0.25 / 400), rel=0.1)


def test_checkpoints_that_answer_alike_are_as_one():
    hits = np.tile(np.random.default_rng(0).random(400) < 0.5, (3, 1))
    found = statistics.bootstrap(hits, np.mean, generator_seed=0)
    assert found.high - found.low == pytest.approx(2 * 1.96 * np.sqrt(0.25 / 400), rel=0.1)


def test_p_values_are_adjusted_by_hand():
    # 0.01 x 4, 0.03 x 3, then no smaller than the one before, in the order given
    assert statistics.holm([0.04, 0.01, 0.03, 0.5]) == pytest.approx([0.09, 0.04, 0.09, 0.5])
    assert statistics.holm([0.9, 0.8]) == [1, 1]
    assert statistics.holm([0.02]) == [0.02]
    assert statistics.holm([]) == []


def test_a_family_without_effects_is_rarely_found_to_have_one():
    families = np.random.default_rng(0).random((4000, 6))
    assert np.mean([min(row) < 0.05 for row in families]) > 0.2
    assert 0.035 < np.mean([min(statistics.holm(row)) < 0.05 for row in families]) < 0.06


@pytest.mark.parametrize(("count", "of"), [(0, 5), (2, 5), (5, 5), (1, 1)])
def test_a_share_has_scipys_exact_interval(count, of):
    found = statistics.solved(count, of)
    expected = stats.binomtest(count, of).proportion_ci(0.95, "exact")
    assert bounds(found) == pytest.approx((expected.low, expected.high))
    assert found.mean == count / of


@pytest.mark.parametrize(("count", "other"), [(0, 5), (1, 5), (2, 5), (4, 5), (5, 5), (5, 0)])
def test_a_difference_of_shares_agrees_with_an_exact_test(count, other):
    found = statistics.solved_difference(count, 5, other, 5)
    assert found.mean == pytest.approx((count - other) / 5)
    assert -1 <= found.low <= found.mean <= found.high <= 1
    p = statistics.p_fewer(count, 5, other, 5)
    assert (found.high < 0) == (p < 0.025)
    assert p == pytest.approx(stats.hypergeom.cdf(count, 10, count + other, 5))


def test_fewer_of_more_seeds_is_surer():
    assert statistics.p_fewer(20, 50, 50, 50) < statistics.p_fewer(2, 5, 5, 5)
    assert statistics.solved_difference(20, 50, 50, 50).high < 0 < statistics.solved_difference(2, 5, 5, 5).high


def test_a_p_value_is_scipys():
    found = statistics.paired_t(VALUES)
    for bound in (0.85, 0.9, 0.914, 0.95):
        expected = stats.ttest_1samp(VALUES, bound, alternative="greater").pvalue
        assert statistics.p_above(found, bound) == pytest.approx(expected)
    centred = statistics.paired_t(np.array(VALUES) - 0.9)
    assert statistics.p_apart(centred) == pytest.approx(stats.ttest_1samp(VALUES, 0.9).pvalue)


@pytest.mark.parametrize("bound", [0.0, 0.1, 0.199, 0.201, 0.5, 0.799, 0.801, 0.9])
def test_a_p_value_says_what_the_interval_says(bound):
    lopsided = statistics.Interval(0.3, 0.2, 0.8, statistics.BOOTSTRAP)
    assert (statistics.p_above(lopsided, bound) <= 0.025) == (lopsided.low >= bound)
    assert (1 - statistics.p_above(lopsided, bound) <= 0.025) == (lopsided.high <= bound)


def test_without_spread_nothing_is_left_to_chance():
    point = statistics.paired_t([0.5, 0.5])
    assert [statistics.p_above(point, bound) for bound in (0.4, 0.5, 0.6)] == [0, 0, 1]
    assert [statistics.p_apart(statistics.paired_t([value] * 2)) for value in (-0.5, 0.0, 0.5)] == [0, 1, 0]


@pytest.mark.parametrize("sign", [1, -1])
def test_a_union_is_as_sure_as_the_less_sure_of_its_parts(sign):
    images = statistics.Interval(0.3 * sign, *sorted((0.2 * sign, 0.4 * sign)), statistics.BOOTSTRAP)
    checkpoints = statistics.paired_t(np.array([0.1, 0.3, 0.5]) * sign)
    union = statistics.wider(images, checkpoints)
    expected = stats.ttest_1samp([0.1, 0.3, 0.5], 0).pvalue
    assert statistics.p_apart(union) == pytest.approx(expected)
    assert statistics.p_apart(images) < 1e-6
    assert (union.low <= 0 <= union.high) == (statistics.p_apart(union) > 0.05)


def test_an_interval_moves_with_its_mean():
    moved = statistics.Interval(0.3, 0.2, 0.8, statistics.BOOTSTRAP).moved(0.4)
    assert (moved.mean, moved.low, moved.high) == pytest.approx((0.4, 0.3, 0.9))


def test_a_resample_without_a_value_does_not_count():
    assert list(statistics.percentiles(np.array([np.nan, 1.0, 3.0]), 1.0)) == [1, 3]


@pytest.mark.parametrize(
    ("few", "message"),
    [
        (lambda: statistics.paired_t([0.5]), "1 values: an interval needs at least 2"),
        (lambda: statistics.paired_t([]), "0 values"),
        (lambda: statistics.corrected_t([0.5], 1, 3), "1 values"),
        (lambda: statistics.clustered_t([1, 2], [0, 0]), "1 checkpoints: an interval needs at least 2"),
        (lambda: statistics.bootstrap(np.ones((0, 9)), np.mean, generator_seed=0), "0 checkpoints, 9 images"),
        (lambda: statistics.resampled(np.ones((2, 1, 3)), generator_seed=0), "2 checkpoints, 1 images"),
        (lambda: statistics.solved(0, 0), "0 trainings"),
        (lambda: statistics.paired_t([0.5, np.nan]), r"\[0.5, nan\]: an interval needs a row of finite numbers"),
        (lambda: statistics.paired_t(np.ones((2, 2))), r"\[\[1.0, 1.0\], "),
    ],
)
def test_too_few_values_are_missing(few, message):
    with pytest.raises(Missing, match=message):
        few()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: statistics.clustered_t([1, 2], [0, 1, 1]), "2 values in 3 clusters"),
        (lambda: statistics.holm([0.5, -0.1]), "p = -0.1: it must be between 0 and 1"),
        (lambda: statistics.holm([0.5, 1.1]), "p = 1.1: it must be between 0 and 1"),
        (lambda: statistics.holm([0.5, np.nan]), "p = nan: it must be between 0 and 1"),
        (lambda: statistics.solved(6, 5), "count = 6: it must be between 0 and 5"),
        (lambda: statistics.solved(2, 5, 95), "confidence = 95: it must be above 0 and at most 1"),
        (lambda: statistics.paired_t([1, 2], np.nan), "confidence = nan"),
    ],
)
def test_what_cannot_be_is_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        wrong()


def test_every_interval_says_how_it_was_made():
    hits = np.ones((2, 3))
    found = [
        statistics.paired_t(VALUES),
        statistics.corrected_t(VALUES, 1, 3),
        statistics.clustered_t([1, 2], [0, 1]),
        statistics.bootstrap(hits[:1], np.mean, generator_seed=0, resamples=10),
        statistics.bootstrap(hits, np.mean, generator_seed=0, resamples=10),
        statistics.wider(statistics.paired_t(VALUES), statistics.paired_t(VALUES)),
        statistics.solved(1, 2),
    ]
    assert tuple(one.how for one in found) == statistics.HOW
