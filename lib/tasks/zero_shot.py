"""The protocol of zero-shot classification: images go to the class whose caption is nearest.

It is zero-shot for a model that did not learn the classes. Small CLIPs of `lib.tasks.training.clips` are trained on the
very captions that they are tested with: of them the protocol says how well they classify new images of known classes.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor
from tqdm.auto import tqdm

from lib.models.checks import check_count, check_device, check_finite, check_kind, check_labels, check_shape
from lib.models.clip.load import Clip
from lib.tasks.data.images import Images


@torch.inference_mode()
def image_features(
    clip: Clip, data: Images, *, batch: int = 250, interpolate: bool = False, progress: bool = False
) -> Float[Tensor, "B width"]:
    """Features of all images, of unit length, on the CPU.

    batch    images at once
    raises   TypeError for what is no `Images`; ValueError, quoting it, for a batch below 1
    """
    check_kind("data", data, Images, "collection `Images`")
    check_count("batch", batch)
    parts = data.images.split(batch)
    bar = tqdm(parts, desc="images", unit="batch", leave=False, disable=not progress)
    return torch.cat([clip.image_features(clip.pixels(part), interpolate).float().cpu() for part in bar])


@torch.inference_mode()
def classifier(clip: Clip, data: Images) -> Float[Tensor, "C width"]:
    """Features of the captions of all classes, by the data's own templates, on the CPU.

    raises   TypeError for what is no `Images`
    """
    check_kind("data", data, Images, "collection `Images`")
    return clip.classifier(data.names, data.templates).float().cpu()


def predictions(features: Float[Tensor, "B width"], classes: Float[Tensor, "C width"]) -> Int[Tensor, " B"]:
    """Numbers of the classes whose captions are nearest to the images; of two as near, the first.

    raises   ValueError, quoting it, for other shapes, for what is not finite or zero, and for two classes that are one
    """
    check_shape("features", features, "N", "width")
    check_shape("classes", classes, "C", features.shape[1])
    check_device("classes", classes, features)
    for name, rows in (("features", features), ("classes", classes)):
        check_finite(name, rows)
        for number in (rows == 0).all(dim=1).nonzero()[:, 0].tolist():
            raise ValueError(f"{name}[{number}] is zero: it is as near to every class")
    _, same, counts = classes.unique(dim=0, return_inverse=True, return_counts=True)
    if counts.max() > 1:
        one, other = (same == counts.argmax()).nonzero()[:2, 0].tolist()
        raise ValueError(f"classes {one} and {other} are the same: no image could tell them apart")
    exact = torch.promote_types(features.dtype, classes.dtype)
    return (features.to(exact) @ classes.to(exact).T).argmax(dim=1)


def accuracy(clip: Clip, data: Images, **options) -> float:
    """Share of images whose class has the nearest caption.

    raises   what `image_features`, `classifier` and `predictions` raise
    """
    classes = classifier(clip, data)
    found = predictions(image_features(clip, data, **options), classes)
    check_labels("classes", data.classes, len(classes), len(found))
    return (found == data.classes.cpu()).float().mean().item()
