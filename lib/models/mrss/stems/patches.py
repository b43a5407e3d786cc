"""Patches: the features of r tokens, one after another, are those of one. With the linear map that follows, this is a
convolution of kernel r and stride r, as at the start of a vision transformer."""

from jaxtyping import Float
from torch import Tensor

from lib.models.mrss.resample import chunks


def shortened(x: Float[Tensor, "B T F"], factor: int) -> Float[Tensor, "B n G"]:
    """All features of each chunk."""
    return chunks(x, factor).flatten(2)


def features(width: int, factor: int) -> int:
    """G = r F."""
    return factor * width
