"""A small CLIP of random weights with its tokenizer and processor, as the hub has them, for the tests."""

from pathlib import Path

import torch

from lib.models.clip.load import Clip
from lib.tasks.data import images
from lib.tasks.training import clips

PLAN = clips.Plan("scenes", seed=0, steps=1)


def scenes(count: int = 12, seed: int = 0) -> images.Images:
    return images.rendered(count, torch.Generator().manual_seed(seed))


def clip() -> Clip:
    return clips.build(PLAN, scenes())


def folder(path: Path) -> Path:
    """One written by `lib.tasks.training.clips.keep`."""
    return clips.keep(clip(), PLAN, path, accuracy=0.5)
