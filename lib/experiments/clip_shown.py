"""What the chapters on CLIP are told to show and to time: names and amounts, refused before anything is loaded."""

import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import AutoConfig, PretrainedConfig

from lib.experiments import base
from lib.experiments.sizes import check_memory, quoted
from lib.models.checks import check_choice
from lib.models.clip import cost
from lib.models.clip import load as clip
from lib.names import SMALL_CLIPS
from lib.paths import CHECKPOINTS

HUB = re.compile(r"(?!.*\.\.)[\w-][\w.-]*/[\w.-]+", re.ASCII)  # owner/name
LAYOUT = ("*.parquet", "*/*.parquet")  # itself, or in folders such as plain_text
SIDE = 64  # pixels of the scenes, and of what our models see
NUMBERS = 3 * SIDE**2  # of a scene, a byte each


def sizes_of(timed: str, ours: bool = False) -> PretrainedConfig:
    """The configuration of a model that is timed.

    ours     whether a checkpoint of ours may be timed, too
    raises   ValueError, listing what there is, for an unknown one
    """
    checkpoints = clip.checkpoints() if ours else []
    check_choice("timed", timed, [*clip.shipped(), *checkpoints])
    return AutoConfig.from_pretrained(CHECKPOINTS / timed) if timed in checkpoints else clip.known_config(timed)


def check_images(settings: Any, vision: PretrainedConfig, kept: int = 1, name: str = "batch") -> None:
    """Accept a batch that a vision tower has room for: the images, and the widest layer's activations.

    kept     layers whose activations are kept, for a training step
    name     the field that is the number of images
    raises   ValueError, naming that field, for more memory than is free
    """
    image = 3 * vision.image_size**2
    tokens = 1 + cost.patches(vision)
    wide = tokens * (4 * vision.hidden_size + 2 * vision.intermediate_size)
    count = getattr(settings, name)
    check_memory(settings, count * (image + kept * wide), name, drawn=count * image)


@dataclass(frozen=True, kw_only=True)
class Settings(base.Settings):
    """What is shown.

    shown    a checkpoint of ours, a folder in the hub's layout, or a name of the hub
    dataset  "scenes", "cifar10", or a folder with it
    images   that are classified
    """

    shown: str
    dataset: str
    images: int


def check(settings: Settings) -> None:
    """Accept a model, a data set and a number of images that can be shown.

    raises   ValueError, naming what is wrong and what is allowed; names of the hub are asked for later
    """
    check_model(settings.shown)
    if settings.dataset not in SMALL_CLIPS and not HUB.fullmatch(settings.dataset) and not _holds(settings.dataset):
        allowed = "'scenes', 'cifar10', or a folder with its parquet files"
        raise ValueError(f"`dataset` is {quoted(settings.dataset)}; allowed is {allowed}")
    check_memory(settings, 0, "images", drawn=settings.images * (NUMBERS // 4 + 3 * side_of(settings.shown) ** 2))


def check_model(model: str) -> None:
    """Accept a checkpoint of ours, a folder that holds a model, or a name that may be one of the hub.

    raises   ValueError, quoting it and naming what is allowed, for any other
    """
    if not _loadable(model):
        ours = ", ".join(clip.checkpoints())
        raise ValueError(
            f"`model` is {quoted(model)}; allowed is 'auto', one of {ours}, a folder with config.json, "
            "or owner/name of the hub"
        )


def side_of(model: str) -> int:
    """Pixels of the images that a model sees; of one whose sizes are not known here, those of ours."""
    return clip.known_config(model).vision_config.image_size if model in clip.shipped() else SIDE


def _loadable(model: str) -> bool:
    """Whether a model is one of ours, a folder that holds one, or perhaps one of the hub."""
    with suppress(OSError, ValueError):  # no path can be as long, or hold such letters
        if Path(model).is_dir():
            return (Path(model) / "config.json").is_file()
    return model in clip.checkpoints() or bool(HUB.fullmatch(model))


def _holds(folder: str) -> bool:
    """Whether a folder holds parquet files, as they lie on the hub."""
    with suppress(OSError, ValueError):
        return any(file for depth in LAYOUT for file in Path(folder).glob(depth))
    return False
