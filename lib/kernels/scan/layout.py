"""How what a scan returns lies in memory: the same for every backend, since compilers plan with it."""

import torch
from torch import Tensor


def like(x: Tensor, dtype: torch.dtype | None = None) -> Tensor:
    """An empty tensor of x's shape, with x's order of the last two axes, and without gaps.

    x        (..., D, T) of any strides: where D comes before T in memory, so it does in what is returned
    dtype    x's where left out
    """
    *outer, rows, columns = x.shape
    if x.stride(-2) <= x.stride(-1):
        return x.new_empty(*outer, columns, rows, dtype=dtype).mT
    return x.new_empty(x.shape, dtype=dtype)
