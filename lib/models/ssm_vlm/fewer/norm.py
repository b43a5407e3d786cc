"""Dropping what has the smallest norm. Symbols: `lib/__init__.py`."""

from torch import Tensor

from lib.models.ssm_vlm.fewer.base import Seen, highest


def norm(seen: Seen, count: int) -> Tensor:
    """Keep the patches of largest L2 norm."""
    return highest(seen.x.norm(dim=-1), count)
