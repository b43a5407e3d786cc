"""What token reductions keep of an image, patch by patch, and what the model answers then."""

import numpy as np
import torch
from sklearn.datasets import load_sample_image
from torch import Tensor
from torch.nn import functional as F

from lib.experiments.clip_variants import CLASS_ATTENTION, NORM, ROUNDS
from lib.models.clip import load as clip
from lib.models.clip.reduction import reduce_tokens
from lib.tasks import zero_shot
from lib.tasks.data.images import Images

VIEWS = {NORM: "norm", CLASS_ATTENTION: "class_attention", ROUNDS: "merge_in_rounds"}
Rows = dict[str, tuple[np.ndarray, list[str]]]  # label -> tokens that hold the patches, answers
PHOTOGRAPHS = {"china": "china.jpg", "flower": "flower.jpg"}


@torch.inference_mode()
def answered(model: clip.Clip, data: Images, keep: float) -> tuple[np.ndarray, list[str], Rows]:
    """Images (B, H, W, 3) from 0 to 1, the names of what they show, and per method what it keeps and the answers.

    keep   share of the patches' tokens that remains
    """
    classes, tower, rows = zero_shot.classifier(model, data), model.model.vision_model, {}
    pixels = model.pixels(data.images)
    for label, method in VIEWS.items():
        reduced = reduce_tokens(tower, method, keep)
        _, tokens = reduced.traced(pixels)
        said = zero_shot.predictions(model.seeing_with(reduced).image_features(pixels).float().cpu(), classes)
        rows[label] = (tokens.places.cpu().numpy(), [data.names[one] for one in said])
    return _shown(data.images), [data.names[one] for one in data.classes], rows


@torch.inference_mode()
def photographed(model: clip.Clip, side: int = 128, keep: float = 1 / 4) -> tuple[np.ndarray, list[str], Rows]:
    """The same of two photographs of scikit-learn, positions interpolated, without answers.

    side   pixels; a share `keep` of the tokens remains
    """
    photos = [torch.tensor(load_sample_image(file))[:, 100:527] for file in PHOTOGRAPHS.values()]
    photos = F.interpolate(torch.stack(photos).permute(0, 3, 1, 2).float(), size=(side, side), mode="area")
    mean, std = (torch.tensor(x).view(3, 1, 1) for x in (model.processor.image_mean, model.processor.image_std))
    pixels, rows = ((photos / 255 - mean) / std).to(model.model.device, model.model.dtype), {}
    for label, method in VIEWS.items():
        reduced = reduce_tokens(model.model.vision_model, method, keep)
        _, tokens = reduced.traced(pixels, interpolate_pos_encoding=True)
        rows[label] = (tokens.places.cpu().numpy(), [""] * len(photos))
    return _shown(photos), list(PHOTOGRAPHS), rows


def _shown(images: Tensor) -> np.ndarray:
    return images.permute(0, 2, 3, 1).numpy() / 255
