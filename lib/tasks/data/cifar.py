"""CIFAR-10 as a sequence of colour patches: a smooth task with one answer. Source: Krizhevsky (2009)."""

import torch

from lib.models.checks import check_choice
from lib.tasks.data.images import CIFAR10
from lib.tasks.data.patches import of_images, patches
from lib.tasks.data.sequences import Task

MEAN, DEVIATION = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)  # of its training pixels: red, green, blue
SIDES = (1, 2, 4, 8, 16, 32)  # of a patch, which divide an image's


def cifar(generator: torch.Generator, source: str = CIFAR10, patch: int = 2) -> Task:
    """CIFAR-10: what an image of 32 x 32 pixels shows, of ten classes, patch by patch and row by row.

    A token is patch x patch pixels in three colours, of mean zero and variance one over the training images: 256 tokens
    of 12 features with 2, 64 of 48 with 4. 45,000 images are learned from, 5,000 held back.

    generator   not used: nothing is drawn but batches
    source      a name of the hub, or a folder of parquet files in the hub's layout
    raises      ValueError, quoting it, for a patch that does not divide an image; and as `of_images`
    """
    check_choice("patch", patch, SIDES)
    mean, deviation = (torch.tensor(one).repeat_interleave(patch**2) for one in (MEAN, DEVIATION))
    return of_images("cifar", source, lambda images: patches(images, patch), mean, deviation)
