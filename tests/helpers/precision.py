"""How near two results have to be, so that a test holds on any processor.

Equations are compared in double precision. Where single precision is what a test is about, the other side is a float64
oracle, and the bound is the rounding of what was added: a processor may add in another order, and what cancels in the
result does not cancel in its error.
"""

import torch
from torch import Tensor

UNIT = 2.0**-24  # what rounding to float32 is off by, relative to a number
# Relative to the largest result, through a whole model in float32: a few hundred roundings on the longest path, of sums
# whose terms may together be some ten times what comes out.
SINGLE = 1e-4
PRECISIONS = {torch.float64: 1e-10, torch.float32: SINGLE}


def assert_within(actual: Tensor, expected: Tensor, tolerance: float, size: Tensor | None = None) -> None:
    """Two results differ by at most a share of the largest value expected, or of the largest size given.

    expected   of the same dtype, or an oracle in double precision
    """
    assert actual.shape == expected.shape, f"{actual.shape}, not {expected.shape}"
    oracle = torch.complex128 if actual.is_complex() else torch.float64
    assert expected.dtype in (actual.dtype, oracle), f"{actual.dtype}, not {expected.dtype}"
    size = expected.abs().max() if size is None else size.max()
    error = (actual - expected).abs().max()
    assert error <= tolerance * size, f"{error:.1e} where the size is {size:.1e}: {tolerance:.1e} of it allowed"
