"""Dropping by lot, the baseline of every choice. Symbols: `lib/__init__.py`."""

import torch
from torch import Tensor

from lib.models.ssm_vlm.fewer.base import Seen, highest


def random(seen: Seen, count: int) -> Tensor:
    """Keep patches drawn by lot, the same of all images of a batch."""
    scores = torch.rand(seen.x.shape[1], generator=seen.generator).to(seen.x.device)
    return highest(scores.expand(len(seen.x), -1), count)
