"""CIFAR-10 as a sequence of grey pixels, a smooth task with one answer.

Source: the task "Image" of Long Range Arena, Tay et al. (2021); images of Krizhevsky (2009).
"""

import torch
from jaxtyping import UInt8
from torch import Tensor

from lib.tasks.data.images import CIFAR10
from lib.tasks.data.patches import of_images
from lib.tasks.data.sequences import Task

MEAN, DEVIATION = 0.4809, 0.2392  # of its training pixels, in grey
LUMA = (0.299, 0.587, 0.114)  # of red, green and blue: ITU-R BT.601


def cifar_grey(generator: torch.Generator, source: str = CIFAR10) -> Task:
    """CIFAR-10 in grey: what an image shows, of ten classes, from its 1,024 pixels, row by row.

    A token is a pixel, one number, of mean zero and variance one over the training images. 45,000 images are learned
    from, 5,000 held back.

    generator   not used: nothing is drawn but batches
    source      a name of the hub, or a folder of parquet files in the hub's layout
    raises      as `of_images`
    """
    return of_images("cifar_grey", source, grey, torch.tensor([MEAN]), torch.tensor([DEVIATION]))


def grey(images: UInt8[Tensor, "B 3 H W"]) -> UInt8[Tensor, "B T 1"]:
    """The brightness of each pixel, row by row, rounded."""
    red, green, blue = LUMA
    brightness = red * images[:, 0] + green * images[:, 1] + blue * images[:, 2]
    return brightness.round().to(torch.uint8).flatten(1).unsqueeze(-1)
