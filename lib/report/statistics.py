"""Intervals of means and shares, each for one design of an experiment, and p-values of families of tests.

Which one stands in a table is said by `Interval.how`. What they are chosen by: `lib.report.accuracy`.
"""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from scipy import stats

from lib.report.frames import Missing, Values

PAIRED, CORRECTED, CLUSTERED, IMAGES, BOOTSTRAP, WIDER, SOLVED = (
    "paired t over seeds",
    "corrected resampled t",
    "t over checkpoints",
    "bootstrap over images",
    "bootstrap over checkpoints and images",
    "bootstrap over checkpoints and images, no narrower than t over checkpoints",
    "Clopper and Pearson",
)
HOW = (PAIRED, CORRECTED, CLUSTERED, IMAGES, BOOTSTRAP, WIDER, SOLVED)
SEED = 0  # of resamples, wherever a table or a text needs them: settings are compared by the same draws


@dataclass(frozen=True)
class Interval:
    """A mean or a share between two bounds; `how` says in words by which statistic, one of HOW.

    degrees  of freedom of Student's distribution that it is of; infinite for the normal one
    parts    the intervals that it is a union of
    """

    mean: float
    low: float
    high: float
    how: str
    degrees: float = np.inf
    parts: tuple["Interval", ...] = ()

    def moved(self, mean: float) -> "Interval":
        """The same interval, of no parts, around another mean: one of more values than the interval is of."""
        return replace(self, mean=mean, low=self.low + mean - self.mean, high=self.high + mean - self.mean)


def paired_t(values: Values, confidence: float = 0.95) -> Interval:
    """Student's interval of the mean of independent values: a difference per seed, its data drawn anew.

    raises  Missing for fewer than two values, and for what is no row of finite numbers
    """
    return _student(values, confidence, PAIRED)


def corrected_t(values: Values, tested: float, trained: float, confidence: float = 0.95) -> Interval:
    """Interval of the mean of values from random splits of one collection, which share most of their data.

    Their variance counts (1 / n + tested / trained) times, not 1 / n times: more splits do not make up for few data.

    values    one per split
    tested, trained   sequences in the test half of a split, and in the other one
    raises    as `paired_t`; ValueError, quoting them, for sizes that are not positive
    source    Nadeau and Bengio (2003), section 3
    """
    if not (tested > 0 and trained > 0):
        raise ValueError(f"tested = {tested}, trained = {trained}: both must be above 0")
    return _student(values, confidence, CORRECTED, more=tested / trained)


def clustered_t(values: Values, clusters: Sequence[Hashable] | Values, confidence: float = 0.95) -> Interval:
    """Interval of the mean of values of which several come from one checkpoint: Student's, of the checkpoints' means.

    clusters  the checkpoint of each value
    raises    as `paired_t` of the means; ValueError where values and clusters differ in number
    """
    if len(values) != len(clusters):
        raise ValueError(f"{len(values)} values in {len(clusters)} clusters: each value needs its own")
    groups: dict[Hashable, list[float]] = {}
    for value, cluster in zip(values, clusters, strict=True):
        groups.setdefault(cluster, []).append(value)
    return _student([np.mean(group) for group in groups.values()], confidence, CLUSTERED)


def bootstrap(
    hits: np.ndarray,
    statistic: Callable[[np.ndarray], float],
    *,
    generator_seed: int,
    resamples: int = 2000,
    confidence: float = 0.95,
) -> Interval:
    """Percentile interval of a statistic of answers that several checkpoints give to the same images.

    Each resample draws checkpoints and images with replacement, the same images for all checkpoints. Of few checkpoints
    it counts the spread too low, by (n - 1) / n and without Student's tails: `wider` is safe where they differ. Of one
    checkpoint the images alone are drawn: it says nothing of another checkpoint.

    hits       (checkpoints, images, ...)
    statistic  of an array of the same shape
    raises     Missing for no checkpoint and for fewer than two images
    source     Owen (2007), the pigeonhole bootstrap
    """
    hits = np.asarray(hits)
    rows, columns = _drawn(*hits.shape[:2], generator_seed, resamples)
    found = [statistic(hits[row][:, column]) for row, column in zip(rows, columns, strict=True)]
    ends = map(float, percentiles(np.array(found), confidence))
    return Interval(float(statistic(hits)), *ends, IMAGES if len(hits) == 1 else BOOTSTRAP)


def resampled(hits: np.ndarray, *, generator_seed: int, resamples: int = 2000) -> np.ndarray:
    """Share of right answers of each checkpoint in each resample of `bootstrap`, of several settings at once.

    A statistic that sees the answers only through these shares needs no other pass over the images. All settings are
    resampled by the same draws, so that they can be compared.

    hits      (checkpoints, images, settings), 0 or 1
    returns   (resamples, checkpoints, settings)
    raises    as `bootstrap`
    """
    checkpoints, images, settings = hits.shape
    rows, counts = _counted(checkpoints, images, generator_seed, resamples)
    sums = counts @ hits.transpose(1, 0, 2).reshape(images, -1).astype(np.float32)  # whole numbers: exact
    shares = sums.reshape(resamples, checkpoints, settings).astype(float) / images
    return np.take_along_axis(shares, rows[:, :, None], axis=1)


def percentiles(found: np.ndarray, confidence: float = 0.95) -> np.ndarray:
    """Bounds between which a statistic lies in this share of the resamples, which are the first axis: low and high.

    Resamples in which it is not a number do not count, such as a ratio to an accuracy of zero.
    """
    return np.nanquantile(found, [_tail(confidence), 1 - _tail(confidence)], axis=0)


def wider(images: Interval, checkpoints: Interval) -> Interval:
    """Union of a `bootstrap` and a `clustered_t` of the same mean.

    The one sees the images' spread, the other that of few checkpoints; the union covers, whichever is larger.
    """
    low, high = min(images.low, checkpoints.low), max(images.high, checkpoints.high)
    return Interval(images.mean, low, high, WIDER, parts=(images, checkpoints))


def holm(p: Values) -> list[float]:
    """p-values adjusted for their number, in the order given: who decides by them errs in 5 % of all families.

    raises  ValueError, quoting it, for a value outside 0 to 1
    source  Holm (1979)
    """
    if bad := [one for one in p if not 0 <= one <= 1]:
        raise ValueError(f"p = {bad[0]}: it must be between 0 and 1")
    adjusted, largest = [0.0] * len(p), 0.0
    for passed, (value, place) in enumerate(sorted((float(one), place) for place, one in enumerate(p))):
        largest = max(largest, min(1.0, (len(p) - passed) * value))
        adjusted[place] = largest
    return adjusted


def solved(count: int, of: int, confidence: float = 0.95) -> Interval:
    """Exact interval of a share, such as that of the seeds that solve a task.

    raises  Missing where there are none; ValueError, quoting it, for a count outside 0 to `of`
    source  Clopper and Pearson (1934)
    """
    if of < 1:
        raise Missing(f"{of} trainings: a share needs at least 1")
    if not 0 <= count <= of:
        raise ValueError(f"count = {count}: it must be between 0 and {of}")
    tail = _tail(confidence)
    low = stats.beta.ppf(tail, count, of - count + 1) if count else 0.0
    high = stats.beta.ppf(1 - tail, count + 1, of - count) if count < of else 1.0
    return Interval(count / of, float(low), float(high), SOLVED)


def solved_difference(count: int, of: int, other: int, of_other: int, confidence: float = 0.95) -> Interval:
    """Interval of a share minus another one, such as the seeds that solve a task with one model and with another.

    raises  as `solved`
    source  Newcombe (1998), method 10, with the bounds of `solved`
    """
    one, two = solved(count, of, confidence), solved(other, of_other, confidence)
    mean = one.mean - two.mean
    low = mean - np.hypot(one.mean - one.low, two.high - two.mean)
    high = mean + np.hypot(one.high - one.mean, two.mean - two.low)
    return Interval(mean, float(low), float(high), SOLVED)


def p_fewer(count: int, of: int, other: int, of_other: int) -> float:
    """One-sided p-value of fewer seeds that solve a task than with another model. Source: Fisher's exact test."""
    return float(stats.fisher_exact([[count, of - count], [other, of_other - other]], alternative="less").pvalue)


def p_above(interval: Interval, bound: float, confidence: float = 0.95) -> float:
    """One-sided p-value of a mean that is no less than a bound; of a union the largest of its parts.

    At half of what the confidence leaves it says what the interval says: that its lower end is no less than the bound.
    """
    if interval.parts:
        return max(p_above(part, bound, confidence) for part in interval.parts)
    distance = interval.mean - bound
    side = interval.mean - interval.low if distance > 0 else interval.high - interval.mean
    if side == 0:
        return 0.0 if distance >= 0 else 1.0
    return float(stats.t.sf(distance / side * stats.t.ppf(1 - _tail(confidence), interval.degrees), interval.degrees))


def p_apart(interval: Interval, confidence: float = 0.95) -> float:
    """Two-sided p-value of a mean that is not zero; below what the confidence leaves, zero lies outside."""
    one = interval if interval.mean > 0 else _mirrored(interval)
    return 1.0 if interval.mean == 0 else min(1.0, 2 * p_above(one, 0.0, confidence))


def _mirrored(interval: Interval) -> Interval:
    parts = tuple(_mirrored(part) for part in interval.parts)
    return replace(interval, mean=-interval.mean, low=-interval.high, high=-interval.low, parts=parts)


def _tail(confidence: float) -> float:
    if not 0 < confidence <= 1:
        raise ValueError(f"confidence = {confidence}: it must be above 0 and at most 1")
    return (1 - confidence) / 2


def _student(values: Values, confidence: float, how: str, more: float = 0.0) -> Interval:
    """Interval of a mean whose variance is 1 / n of the values', and more."""
    values = np.asarray(values, float)
    if values.ndim != 1 or not np.isfinite(values).all():
        raise Missing(f"{values.tolist()}: an interval needs a row of finite numbers")
    if len(values) < 2:
        raise Missing(f"{len(values)} {'checkpoints' if how == CLUSTERED else 'values'}: an interval needs at least 2")
    mean, error = values.mean(), np.sqrt((1 / len(values) + more) * values.var(ddof=1))
    margin = stats.t.ppf(1 - _tail(confidence), len(values) - 1) * error
    return Interval(float(mean), float(mean - margin), float(mean + margin), how, len(values) - 1)


def _drawn(checkpoints: int, images: int, seed: int, resamples: int) -> tuple[np.ndarray, np.ndarray]:
    """Places of checkpoints and of images, a row per resample."""
    if checkpoints < 1 or images < 2:
        raise Missing(f"{checkpoints} checkpoints, {images} images: a bootstrap needs at least 1 and 2")
    draw = np.random.default_rng(seed)
    return draw.integers(checkpoints, size=(resamples, checkpoints)), draw.integers(images, size=(resamples, images))


@lru_cache(maxsize=2)  # every setting on the same images has the same draws
def _counted(checkpoints: int, images: int, seed: int, resamples: int) -> tuple[np.ndarray, np.ndarray]:
    """Places of checkpoints, and how often each image was drawn, a row per resample."""
    rows, columns = _drawn(checkpoints, images, seed, resamples)
    counts = np.bincount((columns + images * np.arange(resamples)[:, None]).ravel(), minlength=resamples * images)
    return rows, counts.reshape(resamples, images).astype(np.float32)
