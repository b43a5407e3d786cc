"""The best factors of a matrix lose what its smaller singular values hold."""

import pytest
import torch
from refusals import refused
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


@pytest.mark.parametrize(
    ("matrix", "rank", "said"),
    [
        (torch.ones(3, 4), 0, "rank = 0: an integer from 1 to 3 is needed in a matrix of (3, 4)"),
        (torch.ones(3, 4), 4, "rank = 4: an integer from 1 to 3"),
        (torch.ones(3), 1, "matrix of shape (3,): (rows, columns)"),
        (torch.ones(0, 4), 1, "matrix of shape (0, 4): (rows, columns)"),
        (torch.full((3, 4), torch.nan), 1, "matrix: all of its values must be finite"),
    ],
)
def test_what_has_no_such_factors_is_refused(matrix, rank, said):
    with refused(said):
        low_rank(matrix, rank)
