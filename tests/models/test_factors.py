"""The best factors of a matrix lose what its smaller singular values hold."""

import pytest
import torch
from torch.testing import assert_close

from lib.models.factors import low_rank


@pytest.mark.parametrize("shape", [(10, 6), (6, 10)])
@pytest.mark.parametrize("rank", [1, 3, 6])
def test_the_error_is_the_dropped_spectrum(generator, shape, rank):
    matrix = torch.randn(shape, generator=generator, dtype=torch.float64)
    left, right = low_rank(matrix, rank)
    assert left.shape == (shape[0], rank)
    lost = (matrix - left @ right).square().sum()
    assert_close(lost, torch.linalg.svdvals(matrix)[rank:].square().sum(), atol=1e-12, rtol=1e-9)
