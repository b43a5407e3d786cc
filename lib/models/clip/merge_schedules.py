"""How many tokens merge away at each place where they can. Symbols: `lib/__init__.py`."""

import math
from collections.abc import Callable, Sequence

PORTION, MOST = 1 / 8, 3  # of the tokens that merge in one round; rounds at one place


def constant(places: int) -> list[float]:
    """As many at every place. Source: Bolya et al. (2023), https://arxiv.org/abs/2210.09461"""
    return [1.0] * places


def decreasing(places: int) -> list[float]:
    """On a line down to none at the last place. Source: the same, appendix."""
    return [float(places - 1 - number) for number in range(places)] if places > 1 else [1.0]


def front(places: int) -> list[float]:
    """Half as many at each place as at the one before."""
    return [0.5**number for number in range(places)]


SCHEDULES: dict[str, Callable[[int], list[float]]] = {"constant": constant, "decreasing": decreasing, "front": front}


def merges(
    schedule: str | Sequence[int], patches: int, places: int, keep: float = 1.0, in_rounds: bool = False
) -> list[int]:
    """How many of the patches' tokens merge at each place, so that a share `keep` of them is left.

    schedule   one of SCHEDULES, or the numbers themselves, one per place
    keep       0 < keep <= 1, not used where numbers are given
    in_rounds  whether the tokens of one place merge in several rounds, as `rounds` has them, or at once; at most half
               of those that there are can at once
    raises     ValueError, quoting it, for an unknown schedule, for numbers that are too many, too few or negative, and
               for one by which tokens run out
    """
    if isinstance(schedule, str):
        if schedule not in SCHEDULES:
            raise ValueError(f"schedule = {schedule!r}: one of {', '.join(SCHEDULES)}, or numbers, is needed")
        shares = SCHEDULES[schedule](places)
        gone, whole = patches - kept(keep, patches), sum(shares)
        # Rounded so that the sum is kept: each place gets what the running total is short of.
        totals = [round(gone * sum(shares[: number + 1]) / whole) for number in range(places)]
        planned = [total - before for total, before in zip(totals, [0, *totals], strict=False)]
    else:
        planned = list(schedule)
        if len(planned) != places or min(planned) < 0:
            raise ValueError(f"schedule = {planned}: {places} numbers of at least 0 are needed, one per place")
    left = patches
    for number, count in enumerate(planned):
        for cut in rounds(count, left) if in_rounds else [count]:
            if cut > left // 2:
                raise ValueError(
                    f"schedule = {schedule!r}: {left} tokens are left when {cut} are to merge at place {number}; "
                    f"at most {left // 2} can at once"
                )
            left -= cut
    return planned


def rounds(count: int, tokens: int) -> list[int]:
    """How many of some tokens merge in each round: one round for every eighth of the tokens, and at most three."""
    number = min(MOST, max(1, math.ceil(count / (tokens * PORTION)))) if count else 0
    return [(count + number - 1 - place) // number for place in range(number)]


def kept(keep: float, patches: int) -> int:
    """How many of the patches a share is, at least one."""
    check_keep(keep)
    return max(1, round(keep * patches))


def check_keep(keep: float) -> None:
    """raises   ValueError, quoting it, for a share outside of 0 < keep <= 1"""
    if not 0 < keep <= 1:
        raise ValueError(f"keep = {keep}: more than 0 and at most 1 is needed")
