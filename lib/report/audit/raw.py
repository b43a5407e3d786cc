"""Raw records and plain arithmetic on them: ratios in turns, intervals by textbook formulas, a bootstrap of its own."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from math import nan, sqrt
from pathlib import Path
from statistics import fmean, variance
from typing import Any

import numpy as np
from scipy.stats import t as student

EXACT = 1e-9  # what sums in another order may differ by
DRAWN = 0.006  # what ends of a bootstrap may differ by with other draws, as a share
RESAMPLES, SEED = 2000, 2026  # other ones than the report's

Case = dict[str, Any]


class Unit(Enum):
    """How a number is printed: ratios, points of accuracy, percent and changes in percent with an interval, a share, a
    range."""

    TIMES, POINTS, PERCENT, CHANGE, SHARE, RANGE = range(6)


@dataclass(frozen=True)
class Found:
    """A number computed again.

    low, high   NaN where it has no spread
    within      how far its ends may be from those of the headline
    """

    value: float
    low: float = nan
    high: float = nan
    within: float = EXACT
    unit: Unit = Unit.TIMES


def cases(folder: Path, name: str, **where: Any) -> list[Case]:
    """Cases of a record whose variant or parameters have these values.

    raises   LookupError, quoting them, where there is none
    """
    found = json.loads((folder / f"{name}.json").read_text())["cases"]
    chosen = [one for one in found if all(_at(one, key) == value for key, value in where.items())]
    if not chosen:
        raise LookupError(f"{name}: no case of {where}")
    return chosen


def case(folder: Path, name: str, **where: Any) -> Case:
    """The one case with these values.

    raises   LookupError, quoting them, where there is none, or more than one
    """
    chosen = cases(folder, name, **where)
    if len(chosen) > 1:
        raise LookupError(f"{name}: {len(chosen)} cases of {where}")
    return chosen[0]


def _at(one: Case, key: str) -> Any:
    return one["variant"] if key == "variant" else one["parameters"].get(key)


def time(one: Case, base: Case) -> Found:
    """Seconds relative to the baseline's, round by round: median and quartiles."""
    rounds = sorted(mine / theirs for mine, theirs in zip(one["seconds"], base["seconds"], strict=True))
    low, middle, high = (_quantile(rounds, share) for share in (0.25, 0.5, 0.75))
    return Found(middle, low, high)


def _quantile(ordered: Sequence[float], share: float) -> float:
    place = share * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])


def memory(one: Case, base: Case) -> Found:
    """Peak and input relative to the baseline's."""
    held = [case["peak_bytes"] + case["parameters"].get("input_bytes", 0) for case in (one, base)]
    return Found(held[0] / held[1])


def differences(one: Case, base: Case) -> list[float]:
    """Accuracies minus the baseline's, seed by seed."""
    return [one["accuracies"][seed] - base["accuracies"][seed] for seed in sorted(one["accuracies"])]


def interval(values: Sequence[float], more: float = 0.0) -> Found:
    """Mean, and Student's 95 % interval of it.

    more   what is added to 1 / n: tested / trained sequences where all values are of splits of one collection
    """
    margin = student.ppf(0.975, len(values) - 1) * sqrt((1 / len(values) + more) * variance(values))
    return Found(fmean(values), fmean(values) - margin, fmean(values) + margin, unit=Unit.POINTS)


def right(*trained: Case) -> Found:
    """Accuracy, averaged over trainings."""
    return Found(fmean(value for one in trained for value in one["accuracies"].values()), unit=Unit.SHARE)


def answers(one: Case) -> np.ndarray:
    """Right answers as ones, a row per checkpoint, from hexadecimal digits of four images each."""
    count = one["parameters"]["images"]
    rows = [np.unpackbits(np.frombuffer(bytes.fromhex(_even(right)), np.uint8)) for right in one["right"].values()]
    return np.stack([row[len(row) - count :] for row in rows])


def _even(digits: str) -> str:
    return digits if len(digits) % 2 == 0 else f"0{digits}"


def retained(one: Case, whole: Case) -> Found:
    """Accuracy relative to the unreduced model's, averaged over checkpoints, with an interval that counts images, too.

    The wider of two at either end: resampled checkpoints and images, and Student's over checkpoints.
    """
    seeds = list(one["accuracies"])
    shares = [one["accuracies"][seed] / whole["accuracies"][seed] for seed in seeds]
    mine, theirs = answers(one), answers(whole)
    draw = np.random.default_rng(SEED)
    moved = fmean(shares) - float((mine.mean(1) / theirs.mean(1)).mean())  # what is recorded is a mean over drawings
    means = []
    for _ in range(RESAMPLES):
        rows, columns = draw.integers(len(seeds), size=len(seeds)), draw.integers(mine.shape[1], size=mine.shape[1])
        right, full = mine[rows][:, columns].mean(1), theirs[rows][:, columns].mean(1)
        means.append(float((right / full).mean()) + moved)
    low, high = np.quantile(means, [0.025, 0.975])
    over = interval(shares)
    return Found(over.value, min(low, over.low), max(high, over.high), DRAWN, Unit.PERCENT)
