"""Merging of neighbours, two by two. Symbols: `lib/__init__.py`; P patches, K of them left."""

import torch
from torch import Tensor

from lib.models.ssm_vlm.fewer.base import Seen, cosines, numbered


def pairs(seen: Seen, count: int) -> Tensor:
    """Merge each even patch with the next one, those pairs that are most alike.

    raises   ValueError, quoting it, for fewer patches than half of them
    """
    patches = seen.x.shape[1]
    if count < patches - patches // 2:
        raise ValueError(f"{count} of {patches} patches: pairs leave half of them, at least")
    first = torch.ones(seen.x.shape[:2], dtype=torch.bool, device=seen.x.device)
    chosen = 2 * cosines(seen.x)[:, ::2].topk(patches - count, dim=1).indices + 1
    first.scatter_(1, chosen, False)
    return numbered(first, torch.ones_like(first))
