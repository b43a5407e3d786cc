"""The best two factors of a matrix. Source: Eckart and Young (1936), https://doi.org/10.1007/BF02288367."""

import torch
from jaxtyping import Float
from torch import Tensor


def low_rank(matrix: Float[Tensor, "M N"], rank: int) -> tuple[Float[Tensor, "M R"], Float[Tensor, "R N"]]:
    """Left and right: their product's squared error is the sum of the dropped squared singular values.

    rank   1 <= rank <= min(M, N)
    """
    left, values, right = torch.linalg.svd(matrix, full_matrices=False)
    return (left * values)[:, :rank], right[:rank]
