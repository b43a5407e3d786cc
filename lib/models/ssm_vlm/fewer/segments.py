"""Merging of segments in the scan's order. Symbols: `lib/__init__.py`; P patches, K of them left."""

import torch
from torch import Tensor

from lib.models.ssm_vlm.fewer.base import Seen, cosines, numbered


def segments(seen: Seen, count: int) -> Tensor:
    """Cut the row of patches where neighbours are least alike, and merge what lies between two cuts.

    Of all ways to cut it into so many segments these keep the most similarity inside, summed over neighbours.
    """
    first = torch.zeros(seen.x.shape[:2], dtype=torch.bool, device=seen.x.device)
    first[:, 0] = True
    if count > 1:
        cuts = cosines(seen.x).topk(count - 1, dim=1, largest=False).indices + 1
        first.scatter_(1, cuts, True)
    return numbered(first, torch.ones_like(first))
