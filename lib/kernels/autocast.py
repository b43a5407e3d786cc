"""Regions that torch.autocast leaves alone: what would lose its meaning in half precision."""

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor


def off(x: Tensor) -> AbstractContextManager:
    """No autocasting on the tensor's device, for a `with` block."""
    kind = x.device.type
    if not torch.amp.is_autocast_available(kind) or not torch.is_autocast_enabled(kind):
        return nullcontext()
    return torch.autocast(kind, enabled=False)


def single(*dtypes: torch.dtype) -> torch.dtype:
    """The dtype that holds all of these, real or complex, in single precision at least."""
    found = torch.float32
    for dtype in dtypes:
        found = torch.promote_types(found, dtype)
    return found
