"""State space models on images: S4ND's product of two kernels, and Vision Mamba's two directions.

Sources: Nguyen et al. (2022), https://arxiv.org/abs/2210.06583, and Zhu et al. (2024), https://arxiv.org/abs/2401.09417.
"""

from collections.abc import Callable

from jaxtyping import Float
from torch import Tensor

from lib.models.checks import check_shape
from lib.models.ssm.fft_convolution import causal_convolution


def along_both(
    image: Float[Tensor, "H W"], down: Float[Tensor, " H"], across: Float[Tensor, " W"]
) -> Float[Tensor, "H W"]:
    """An image convolved with one kernel down its columns, then with another across its rows.

    Equal to one convolution with the outer product of both: two kernels of one axis make one of two.
    raises   ValueError, quoting the shape, for kernels that are not as long as the image's axes
    """
    check_shape("image", image, "H", "W")
    check_shape("down", down, image.shape[0])
    check_shape("across", across, image.shape[1])
    lower = causal_convolution(image[None], down.expand(image.shape[1], -1))[0]
    return causal_convolution(lower.T[None], across.expand(image.shape[0], -1))[0].T


def both_ways(scan: Callable[[Tensor], Tensor], x: Float[Tensor, "B D T"]) -> Float[Tensor, "B D T"]:
    """A causal scan from the first token to the last, plus the same scan from the last to the first.

    Every token then depends on all others; turning the input around turns the output around.
    """
    return scan(x) + scan(x.flip(-1)).flip(-1)
