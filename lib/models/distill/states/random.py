"""Choose states by lot, the baseline of every choice. Symbols: `lib/__init__.py`."""

import torch
from torch import Generator

from lib.models.checks import check_count, check_kind
from lib.models.distill.states.choice import Choice, plain
from lib.models.distill.states.moments import Moments


def random(moments: Moments, keep: int, *, generator: Generator | None = None) -> Choice:
    """Keep states that are drawn at random, each as likely.

    keep       1 <= keep <= N
    raises     ValueError, quoting it, for another number; TypeError without a generator
    """
    count = moments.rate.shape[1]
    check_count("keep", keep, 1, count)
    check_kind("generator", generator, Generator, "torch.Generator")
    return plain(torch.randperm(count, generator=generator)[:keep], count)
