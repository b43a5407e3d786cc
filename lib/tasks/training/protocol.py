"""One protocol for all that is compared: what is tried, by how many steps, and what held-back data chooses by."""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TypeVar

import torch
from torch import Tensor

from lib.models.checks import check_count

RATES, DECAYS = (2e-3, 4e-3, 8e-3, 1.6e-2), (0.01, 0.1)  # every rate at the first decay, the best at the others
STEPS, TIME = "steps", "time"  # budgets: what is compared has as much of it as the baseline
ALIKE = 0.03  # training steps whose times are as near as this take the same steps
TRIAL = 4  # the part of a training's steps that a trial takes: one in so many
TRIED = 2**31  # the seed of trials: none that is compared
HELD_BACK = 2**17  # tokens held back that a trial is judged by
FEWEST = 32  # sequences that judge, however long they are
Trial = TypeVar("Trial")


def first(data: tuple[Tensor, Tensor], tokens: int) -> tuple[Tensor, Tensor]:
    """The first sequences of some data that have so many tokens together, at least FEWEST of them.

    raises   ValueError, quoting it, for fewer tokens than one
    """
    check_count("tokens", tokens)
    count = max(FEWEST, tokens // data[0].shape[1])
    return data[0][:count], data[1][:count]


def lowest(losses: Mapping[Trial, float | None], what: str) -> Trial:
    """The trial of the lowest loss on held-back data; None and what is not finite stand for one that diverged.

    what     is trained, for the error
    raises   ValueError, naming it, where all of them diverged
    """
    finite = {trial: loss for trial, loss in losses.items() if loss is not None and math.isfinite(loss)}
    if not finite:
        raise ValueError(f"{what}: at every rate the loss was not finite")
    return min(finite, key=finite.__getitem__)


def budgets(steps: int, seconds: Mapping[str, float], name: str, baseline: str) -> dict[str, int]:
    """Steps by budget: the baseline's, and those that fit into the baseline's time, where it differs.

    seconds   of a training step, by name; nothing where times are not to be equal
    """
    if not seconds:
        return {STEPS: steps}
    ratio = seconds[baseline] / seconds[name]
    return {STEPS: steps} | ({} if abs(ratio - 1) <= ALIKE else {TIME: max(1, round(steps * ratio))})


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute on one thread, as each training of a sweep does."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
