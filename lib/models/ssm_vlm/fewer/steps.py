"""Dropping by step size. Source: DeciMamba (Ben-Kish et al., 2025), https://arxiv.org/abs/2406.14528.

A patch of a small step hardly changes the state: the scan passes over it.
"""

from torch import Tensor

from lib.models.ssm_vlm.fewer.base import Seen, highest


def steps(seen: Seen, count: int) -> Tensor:
    """Keep the patches at which the next block makes the longest steps, mean over channels and orders."""
    return highest(seen.steps(), count)
