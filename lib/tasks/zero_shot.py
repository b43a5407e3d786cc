"""Zero-shot classification: images go to the class whose caption is nearest."""

import torch
from jaxtyping import Float, Int
from torch import Tensor
from tqdm.auto import tqdm

from lib.models.clip.load import Clip
from lib.tasks.data.images import Images


@torch.inference_mode()
def image_features(
    clip: Clip, data: Images, *, batch: int = 250, interpolate: bool = False, progress: bool = False
) -> Float[Tensor, "B width"]:
    """Features of all images, of unit length, on the CPU."""
    parts = data.images.split(batch)
    bar = tqdm(parts, desc="images", unit="batch", leave=False, disable=not progress)
    return torch.cat([clip.image_features(clip.pixels(part), interpolate).float().cpu() for part in bar])


@torch.inference_mode()
def classifier(clip: Clip, data: Images) -> Float[Tensor, "C width"]:
    """Features of the captions of all classes, by the data's own templates, on the CPU."""
    return clip.classifier(data.names, data.templates).float().cpu()


def predictions(features: Float[Tensor, "B width"], classes: Float[Tensor, "C width"]) -> Int[Tensor, " B"]:
    """Numbers of the classes whose captions are nearest to the images."""
    return (features @ classes.T).argmax(dim=1)


def accuracy(clip: Clip, data: Images, **options) -> float:
    """Share of images whose class has the nearest caption."""
    found = predictions(image_features(clip, data, **options), classifier(clip, data))
    return (found == data.classes).float().mean().item()
