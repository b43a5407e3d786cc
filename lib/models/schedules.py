"""How many tokens each layer of a tower merges away. Symbols: `lib/__init__.py`."""

from collections.abc import Callable, Sequence


def constant(layers: int) -> list[float]:
    """As many in every layer. Source: Bolya et al. (2023), https://arxiv.org/abs/2210.09461"""
    return [1.0] * layers


def decreasing(layers: int) -> list[float]:
    """From twice as many as on average down to none, on a line. Source: the same, appendix."""
    return [2 * (1 - number / max(1, layers - 1)) for number in range(layers)] if layers > 1 else [1.0]


def front(layers: int) -> list[float]:
    """Half as many in each layer as in the one before."""
    return [0.5**number for number in range(layers)]


SCHEDULES: dict[str, Callable[[int], list[float]]] = {"constant": constant, "decreasing": decreasing, "front": front}


def merges(schedule: str | Sequence[int], patches: int, layers: int, keep: float = 1.0) -> list[int]:
    """How many of the patches' tokens each layer merges, so that a share `keep` of them is left.

    schedule   one of SCHEDULES, or the numbers themselves, one per layer
    keep       0 < keep <= 1, not used where numbers are given
    raises     ValueError, quoting it, for an unknown schedule, for numbers that are too many, too few or negative, and
               for one by which tokens run out: a layer can merge half of those that it has
    """
    if isinstance(schedule, str):
        if schedule not in SCHEDULES:
            raise ValueError(f"schedule = {schedule!r}: one of {', '.join(SCHEDULES)}, or numbers, is needed")
        shares = SCHEDULES[schedule](layers)
        gone, whole = patches - kept(keep, patches), sum(shares)
        # Rounded so that the sum is kept: each layer gets what the running total is short of.
        totals = [round(gone * sum(shares[: number + 1]) / whole) for number in range(layers)]
        planned = [total - before for total, before in zip(totals, [0, *totals], strict=False)]
    else:
        planned = list(schedule)
        if len(planned) != layers or min(planned) < 0:
            raise ValueError(f"schedule = {planned}: {layers} numbers of at least 0 are needed, one per layer")
    left = patches
    for number, count in enumerate(planned):
        if count > left // 2:
            raise ValueError(
                f"schedule = {schedule!r}: layer {number} has {left} tokens and cannot merge {count}, "
                f"at most {left // 2} are possible"
            )
        left -= count
    return planned


def kept(keep: float, patches: int) -> int:
    """How many of the patches a share is, at least one."""
    check_keep(keep)
    return max(1, round(keep * patches))


def check_keep(keep: float) -> None:
    """raises   ValueError, quoting it, for a share outside of 0 < keep <= 1"""
    if not 0 < keep <= 1:
        raise ValueError(f"keep = {keep}: more than 0 and at most 1 is needed")
