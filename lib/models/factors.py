"""The best two factors of a matrix. Source: Eckart and Young (1936), https://doi.org/10.1007/BF02288367."""

import torch
from jaxtyping import Float
from torch import Tensor

from lib.models.checks import check_count, check_finite, check_shape


def low_rank(
    matrix: Float[Tensor, "rows columns"], rank: int
) -> tuple[Float[Tensor, "rows R"], Float[Tensor, "R columns"]]:
    """Left and right: their product's squared error is the sum of the dropped squared singular values.

    rank     1 <= rank <= min(rows, columns)
    raises   ValueError, quoting it, for another rank, for what is no matrix, and for one that is not finite
    """
    check_shape("matrix", matrix, "rows", "columns")
    check_count("rank", rank, 1, min(matrix.shape), where=f" in a matrix of {tuple(matrix.shape)}")
    check_finite("matrix", matrix)
    left, values, right = torch.linalg.svd(matrix, full_matrices=False)
    return (left * values)[:, :rank], right[:rank]
