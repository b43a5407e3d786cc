"""Images of CIFAR-10 as sequences: tokens of pixels, kept as bytes and converted batch by batch.

Source: Krizhevsky (2009), Learning Multiple Layers of Features from Tiny Images.
"""

from collections.abc import Callable
from functools import cache

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from lib.models.checks import check_dtype, check_shape
from lib.tasks.data.images import Images, cifar10
from lib.tasks.data.sequences import Task

HELD_BACK = 5000  # the last images of the training split, to choose settings by
Cut = Callable[[UInt8[Tensor, "B 3 H W"]], UInt8[Tensor, "B T F"]]

loaded = cache(cifar10)  # (split, source) -> all images: decoding them takes most of the time


def patches(images: UInt8[Tensor, "B 3 H W"], patch: int) -> UInt8[Tensor, "B T F"]:
    """Cut images into squares of patch x patch pixels, row by row; a token holds red, then green, then blue.

    raises   ValueError, quoting the shape, for images that do not divide into such squares
    """
    check_shape("images", images, "B", 3, "H", "W")
    count, _, height, width = images.shape
    if height % patch or width % patch:
        raise ValueError(f"images of shape {tuple(images.shape)}: sides that are multiples of {patch} are needed")
    cut = images.view(count, 3, height // patch, patch, width // patch, patch)
    return cut.permute(0, 2, 4, 1, 3, 5).reshape(count, -1, 3 * patch * patch)


def of_images(name: str, source: str, cut: Cut, mean: Float[Tensor, " F"], deviation: Float[Tensor, " F"]) -> Task:
    """Make a task of CIFAR-10: which of its classes an image is of, from tokens that are cut out of it.

    The test is the source's; of its training images, the last 5,000 are held back. The others stay bytes, a quarter
    of what they take as features, so that the task has no `train`.

    source             a name of the hub, or a folder of parquet files in the hub's layout
    cut                images -> features of tokens, 0 to 255
    mean, deviation    of a feature, from 0 to 1; features are scaled by them
    raises             FileNotFoundError, in one line, where the source is not to be had; ValueError, quoting their
                       number, for no more training images than are held back
    """
    learned, tested = loaded("train", source), loaded("test", source)
    kept = len(learned) - HELD_BACK
    if kept < 1:
        raise ValueError(f"{source!r}: {len(learned)} training images; more than {HELD_BACK:,} are needed")
    train, valid = learned.first(kept), learned.part(kept, len(learned))
    tokens = cut(train.images)

    def scaled(tokens: UInt8[Tensor, "B T F"]) -> Float[Tensor, "B T F"]:
        check_dtype("tokens", tokens, torch.uint8)
        return (tokens / 255 - mean) / deviation

    def given(images: Images) -> tuple[Tensor, Tensor]:
        return scaled(cut(images.images)), images.classes

    def draw(size: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        rows = torch.randint(kept, (size,), generator=generator)
        return scaled(tokens[rows]), train.classes[rows]

    sizes = {"length": tokens.shape[1], "inputs": tokens.shape[2], "vocabulary": None, "classes": len(learned.names)}
    parts = {"valid": given(valid), "test": given(tested)}
    return Task(name, "smooth", **sizes, pooling="mean", draw=draw, **parts, endless=False)
