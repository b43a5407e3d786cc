"""Images of any origin as a processor of transformers takes them, told apart by kind before anything is computed.

A processor takes what it gets for numbers from 0 to 255; images from 0 to 1 come out of it black, without a word.
"""

from collections.abc import Iterable, Mapping, Set
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor

from lib.kernels.eager import settled
from lib.models.checks import check_choice, check_finite, check_kind, check_shape, check_tensor

MODES = ("RGB", "L", "1", "P", "CMYK", "YCbCr", "HSV", "RGBA", "LA", "PA")  # of PIL, which it converts as one expects
WHOLE = (torch.uint8, torch.int8, torch.int16, torch.uint16, torch.int32, torch.int64)
FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
STRETCHED = 200  # a side relative to the other, at most: the shorter one decides to what an image is enlarged


def pictures(images: Iterable[Any]) -> list[Image.Image | UInt8[Tensor, "3 H W"]]:
    """Images as a list, each in RGB: a picture of PIL, or a tensor from 0 to 255.

    images   (B, 3, H, W) or (B, H, W, 3), a tensor or an array, or a list of those without B, or of pictures. One
             channel is grey. Integers are from 0 to 255, floating-point numbers from 0 to 1, or, where all are whole
             and one is above 1, from 0 to 255. Transparent pictures stand before white. Not noticed: channels in
             another order than red, green, blue, and normalised images without a negative number
    raises   TypeError for what is no collection of images; ValueError, quoting it, for none, and for shapes, dtypes,
             values and modes of other kinds
    """
    if isinstance(images, Tensor | np.ndarray):
        images = _tensor("images", images)
        check_shape("images", images, "B", "C", "H", "W", B=0)
    elif isinstance(images, str | bytes | Mapping | Set | Image.Image) or not isinstance(images, Iterable):
        check_kind("images", images, (list, tuple), "list of images, or a tensor (B, 3, H, W),")
    found = [
        one if isinstance(one, Image.Image) else _channels_first(f"images[{number}]", one)
        for number, one in enumerate(images)
    ]
    if not found:
        raise ValueError("images: at least one is needed")
    scale = _scale([one for one in found if isinstance(one, Tensor)])
    return [_picture(f"images[{number}]", one, scale) for number, one in enumerate(found)]


def _tensor(name: str, array: Any) -> Tensor:
    """A plain tensor on the CPU, of a tensor or a numpy array."""
    if type(array) in (np.ndarray, np.memmap) and array.dtype.kind in "biuf" and array.dtype.itemsize <= 8:
        return torch.tensor(np.ascontiguousarray(array.astype(array.dtype.newbyteorder("="), copy=False)))
    check_kind(name, array, Tensor, "tensor, an array of numbers or a picture of PIL")
    check_tensor(name, array)
    if array.is_meta or isinstance(array, FakeTensor):
        raise ValueError(f"{name} on {array.device}, of type {type(array).__name__}: it holds no values to prepare")
    if array.requires_grad:
        raise ValueError(f"{name} requires a gradient, which does not pass through a processor: use {name}.detach()")
    return settled(array).cpu().as_subclass(Tensor)


def _channels_first(name: str, image: Any) -> Tensor:
    """An image as (3, H, W), of one with its channels first or last."""
    image = _tensor(name, image)
    if image.dtype not in WHOLE + FLOATS:
        raise ValueError(f"{name} of {image.dtype}: whole numbers from 0 to 255, or others from 0 to 1, are needed")
    first, last = (image.ndim == 3 and image.shape[axis] in (1, 3) for axis in (0, -1))
    if first == last:
        why = ", not both" if first else ""
        raise ValueError(f"{name} of shape {tuple(image.shape)}: (3, H, W) or (H, W, 3) is needed{why}; grey has 1")
    image = image if first else image.permute(2, 0, 1)
    check_shape(name, image, len(image), "H", "W")
    return image.expand(3, -1, -1)


def _scale(images: list[Tensor]) -> int:
    """What floating-point images are to be multiplied by to be from 0 to 255."""
    images = [one for one in images if one.is_floating_point()]
    if not images:
        return 1
    for one in images:
        check_finite("images", one)
    least, most = min(one.min().item() for one in images), max(one.max().item() for one in images)
    if least >= 0 and most <= 1:
        return 255
    if least >= 0 and most <= 255 and all(torch.equal(one, one.round()) for one in images):
        return 1
    raise ValueError(
        f"images from {least:g} to {most:g} of {images[0].dtype}: numbers from 0 to 1, or whole ones from 0 to 255, "
        "are needed, not yet normalised"
    )


def _picture(name: str, image: Image.Image | Tensor, scale: int) -> Image.Image | UInt8[Tensor, "3 H W"]:
    height, width = image.shape[1:] if isinstance(image, Tensor) else image.size[::-1]
    if not 0 < max(height, width) <= STRETCHED * min(height, width):
        said = f"sides of 1 or more, of which one is at most {STRETCHED} times the other,"
        raise ValueError(f"{name} of {height} x {width} pixels: {said} are needed")
    if isinstance(image, Image.Image):
        check_choice(f"{name}.mode", image.mode, MODES)
        if "A" in image.getbands() or "transparency" in image.info:
            image = image.convert("RGBA")
            image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
        return image.convert("RGB")
    if image.is_floating_point():
        image = image.to(torch.promote_types(image.dtype, torch.float32))
        return (image * scale).round().to(torch.uint8)
    if image.dtype != torch.uint8:
        least, most = image.long().min().item(), image.long().max().item()
        if least < 0 or most > 255:
            raise ValueError(f"{name} from {least} to {most} of {image.dtype}: numbers from 0 to 255 are needed")
    return image.to(torch.uint8)
