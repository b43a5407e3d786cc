"""A pooled stem: the mean of r tokens stands for all of them."""

from jaxtyping import Float
from torch import Tensor

from lib.models.mrss.resample import chunks


def shortened(x: Float[Tensor, "B T F"], factor: int) -> Float[Tensor, "B n F"]:
    """The mean of each chunk."""
    return chunks(x, factor).mean(2)


def features(width: int, factor: int) -> int:
    """As many as before."""
    return width
