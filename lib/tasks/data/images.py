"""Images and the names of what they show: rendered scenes, and CIFAR-10 from the hub or from a folder.

Source of CIFAR-10: Krizhevsky (2009), Learning Multiple Layers of Features from Tiny Images.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from datasets import Dataset, load_dataset
from jaxtyping import Integer, UInt8
from torch import Tensor

from lib.models.checks import check_count, check_dtype, check_labels, check_shape
from lib.models.clip.hub import why_not
from lib.models.clip.load.texts import check_names, check_templates
from lib.tasks.data.scenes import COLOURS, Colours, captions, scenes

CIFAR10 = "uoft-cs/cifar10"  # on the hub
NEW = 2**31  # scenes to judge by have seeds from here on, those to learn from lower ones: a CPU reads them modulo 2**32
AT_ONCE = 500  # scenes that are drawn together, for their memory
MOST = 1_000_000  # scenes of 64 pixels a side: 12 GB
TEMPLATES = {
    "scenes": ("a {}.", "a picture of a {}.", "there is a {} in the picture."),
    "cifar10": ("a photo of a {}.", "a blurry photo of a {}.", "a small photo of the {}."),
}


@dataclass(frozen=True)
class Images:
    """Images with the class that each shows, and how a class is put into words.

    images     0 to 255; of another kind, see `lib.models.clip.load.pictures`
    classes    numbers in `names`, from 0 on
    names      of the classes, each another
    templates  texts with a {} where a name goes
    raises     TypeError and ValueError, quoting it, for what is none of that
    """

    images: UInt8[Tensor, "B 3 H W"]
    classes: Integer[Tensor, " B"]
    names: tuple[str, ...]
    templates: tuple[str, ...]

    def __post_init__(self) -> None:
        check_shape("images", self.images, "B", 3, "H", "W", B=0)
        check_dtype("images", self.images, torch.uint8, where=", from 0 to 255")
        check_names(self.names)
        check_labels("classes", self.classes, len(self.names), len(self.images))
        check_templates(self.templates)

    def __len__(self) -> int:
        return len(self.images)

    def first(self, count: int) -> "Images":
        """The first images, all of them where there are fewer."""
        return self.part(0, count)

    def part(self, start: int, stop: int) -> "Images":
        """The images from number `start` on, up to `stop`."""
        return Images(self.images[start:stop], self.classes[start:stop], self.names, self.templates)


def named(dataset: str, count: int, seed: int) -> Images:
    """Images to judge by, at most `count`: "scenes", drawn by the seed, or test images of "cifar10" or of a folder.

    No small CLIP of this project learned from any of these scenes, whatever the seed.

    raises   ValueError, quoting it, for a count below 1
    """
    check_count("count", count)
    if dataset == "scenes":
        return rendered(count, torch.Generator().manual_seed(NEW + seed % NEW))
    return cifar10("test", CIFAR10 if dataset == "cifar10" else dataset).first(count)


def to_learn(dataset: str, count: int, seed: int) -> Images:
    """Images to learn from, at most `count`, none of them of `named`: other scenes, training images of "cifar10".

    raises   ValueError, quoting it, for a count below 1
    """
    check_count("count", count)
    if dataset == "scenes":
        return rendered(count, torch.Generator().manual_seed((seed + 1) % NEW))
    return cifar10("train", CIFAR10 if dataset == "cifar10" else dataset).first(count)


def rendered(count: int, generator: torch.Generator, side: int = 64, colours: Colours = COLOURS) -> Images:
    """Draw images of new scenes, see `lib.tasks.data.scenes`.

    raises   ValueError, quoting it, for a count below 1 or above a million
    """
    check_count("count", count, 1, MOST)
    drawn = [scenes(min(AT_ONCE, count - start), generator, side, colours) for start in range(0, count, AT_ONCE)]
    images = torch.cat([(one.images * 255).round().to(torch.uint8) for one in drawn])
    return Images(images, torch.cat([one.classes for one in drawn]), captions(colours), TEMPLATES["scenes"])


def cifar10(split: Literal["train", "test"], source: str = CIFAR10) -> Images:
    """All images of a split of CIFAR-10.

    source   a name of the hub, or a folder of parquet files in the hub's layout
    raises   FileNotFoundError: one line that names the source, and what works without a network
    """
    if not Path(source).is_dir() and (reason := why_not(source, "dataset")):
        raise FileNotFoundError(
            f"{source!r}: no such folder, and the hub says: {reason}. Without a network: a folder with "
            f"{split}-*.parquet as on the hub, or the rendered scenes"
        )
    try:
        found = load_dataset(source, split=split)
    except (FileNotFoundError, ValueError) as error:
        raise FileNotFoundError(f"{source!r}: {str(error).splitlines()[0]}; {split}-*.parquet is needed") from None
    return _images(found, source)


def _images(found: Dataset, source: str) -> Images:
    columns = {"img", "label"}
    if not columns <= set(found.column_names):
        raise ValueError(f"{source!r}: columns {', '.join(found.column_names)}; img and label are needed")
    whole = found.with_format("torch")[:]
    return Images(whole["img"], whole["label"], tuple(found.features["label"].names), TEMPLATES["cifar10"])
