"""Schedules of merging: how many tokens merge at each point of a tower where they can. Symbols: `lib/__init__.py`."""

import math
from collections.abc import Callable, Sequence
from numbers import Integral

from lib.models.checks import check_number

PORTION, MOST = 1 / 8, 3  # of the tokens that merge in one round; rounds at one point


def constant(points: int) -> list[float]:
    """Shares of a schedule that merges as many tokens at every point.

    source   Bolya et al. (2023), https://arxiv.org/abs/2210.09461
    """
    return [1.0] * points


def decreasing(points: int) -> list[float]:
    """Shares of a schedule that falls on a line to none at the last point.

    source   Bolya et al. (2023), https://arxiv.org/abs/2210.09461, appendix
    """
    return [float(points - 1 - number) for number in range(points)] if points > 1 else [1.0]


def front(points: int) -> list[float]:
    """Shares of a schedule that merges half as many tokens at each point as at the one before."""
    return [0.5**number for number in range(points)]


SCHEDULES: dict[str, Callable[[int], list[float]]] = {"constant": constant, "decreasing": decreasing, "front": front}


def merges(
    schedule: str | Sequence[int], patches: int, points: int, keep: float = 1.0, in_rounds: bool = False
) -> list[int]:
    """Numbers of tokens that merge at each point, so that a share `keep` of the patches' tokens remains.

    schedule   one of SCHEDULES, or the numbers themselves, one per point
    patches    number of tokens before the first point
    points     number of points
    keep       0 < keep <= 1, not used where numbers are given
    in_rounds  whether the tokens of one point merge in several rounds, as `rounds` has them, or at once; at most half
               of those that there are can at once
    raises     ValueError, quoting it, for an unknown schedule, for numbers that are too many, too few, negative or
               not whole, and for one by which tokens run out
    """
    if isinstance(schedule, str) or not isinstance(schedule, Sequence):
        if schedule not in [*SCHEDULES]:
            raise ValueError(f"schedule = {schedule!r}: one of {', '.join(SCHEDULES)}, or numbers, is needed")
        shares = SCHEDULES[schedule](points)
        gone, whole = patches - kept(keep, patches), sum(shares)
        # Rounded so that the sum is kept: each point gets what the running total is short of.
        totals = [round(gone * sum(shares[: number + 1]) / whole) for number in range(points)]
        planned = [total - before for total, before in zip(totals, [0, *totals], strict=False)]
    else:
        planned = list(schedule)
        whole = all(isinstance(count, Integral) and not isinstance(count, bool) for count in planned)
        if len(planned) != points or not whole or min(planned, default=0) < 0:
            raise ValueError(f"schedule = {planned}: {points} numbers of at least 0 are needed, one per point")
    left = patches
    for number, count in enumerate(planned):
        for cut in rounds(count, left) if in_rounds else [count]:
            if cut > left // 2:
                raise ValueError(
                    f"schedule = {schedule!r}: {left} tokens remain when {cut} are to merge at point {number}; "
                    f"at most {left // 2} can at once"
                )
            left -= cut
    return planned


def rounds(count: int, tokens: int) -> list[int]:
    """Numbers of tokens that merge in each round: one round for every eighth of the tokens, and at most three.

    count    of tokens that merge in all rounds together
    tokens   number of those that there are
    """
    number = min(MOST, count, math.ceil(count / (tokens * PORTION))) if count else 0
    return [(count + number - 1 - place) // number for place in range(number)]


def kept(keep: float, patches: int) -> int:
    """Number of patches that a share of them is, rounded, at least one.

    raises   ValueError, quoting it, for a share outside of 0 < keep <= 1
    """
    check_number("keep", keep, above=0, most=1)
    return max(1, round(keep * patches))
