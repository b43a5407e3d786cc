"""What token reductions make of a trained CLIP's answers and features, image by image."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lib.experiments.clip_variants import RANDOM, UNREDUCED, mean_cost, settings
from lib.models.clip import load as clip
from lib.models.clip.reduction import reduce_tokens
from lib.models.clip.reduction.original import DEFECTS, OriginalPruning
from lib.tasks import zero_shot
from lib.tasks.data import images

PATTERNS = 5  # random choices that are averaged


@dataclass(frozen=True)
class Outcome:
    """One variant at one setting on one checkpoint.

    keep       as it was given to the method
    target     share of the operations that it was chosen for; None where it was chosen by the share of patches
    ratio      operations relative to the unreduced tower's, on paper, without scoring and matching
    accuracy   share of right answers; `right` says which, one bit each, hexadecimal
    agreement  share of the unreduced model's answers
    cosine     mean, of features with the unreduced model's
    """

    name: str
    keep: float
    target: float | None
    ratio: float
    accuracy: float
    agreement: float
    cosine: float
    right: str


def outcomes(
    model: clip.Clip, data: images.Images, chosen: Iterable[tuple[str, float | None, nn.Module]] | None = None
) -> Iterator[Outcome]:
    """The unreduced model's outcome, and one of every setting that is compared, or of those chosen.

    chosen   name, target, tower; where left out, `lib.experiments.clip_variants.settings`
    """
    tower = model.model.vision_model
    classes = zero_shot.classifier(model, data)
    pixels = model.pixels(data.images)
    base = features(model, pixels)
    answers = zero_shot.predictions(base, classes)
    right = answers == data.classes
    yield Outcome(UNREDUCED, 1.0, None, 1.0, share(right), 1.0, 1.0, packed(right))
    for name, target, reduced in settings(tower) if chosen is None else chosen:
        found = []
        for seed in range(PATTERNS if name == RANDOM else 1):
            reduced.seed = seed
            found.append(features(model.seeing_with(reduced), pixels))
        said = [zero_shot.predictions(one, classes) for one in found]
        means = [sum(share(one == wanted) for one in said) / len(said) for wanted in (data.classes, answers)]
        cosine = torch.stack([(one * base).sum(1).mean() for one in found]).mean().item()
        ratio = mean_cost(tower, reduced, pixels)
        yield Outcome(name, reduced.keep, target, ratio, *means, cosine, packed(said[0] == data.classes))


@torch.inference_mode()
def original_forms(model: clip.Clip, data: images.Images) -> tuple[dict[str, float], float]:
    """Mean cosines of a trained model's features with those that the original report's code makes, by what is mended.

    returns   "as written"; "mended" in all; "one normed, all" without the last norm alone; "both normed, all" as
              mended; "both normed, half" by L2 norm. And how far an image's features move when the others of its batch
              change, relative to their norm, with axes as in section 5.3
    """
    tower, pixels = model.model.vision_model, model.pixels(data.images)
    whole = tower(pixels).pooler_output
    forms = {
        "as written": OriginalPruning(tower, 1.0, ["axes"]),
        "mended": OriginalPruning(tower, 1.0, DEFECTS),
        "one normed, all": OriginalPruning(tower, 1.0, set(DEFECTS) - {"post_layernorm"}),
        "both normed, all": OriginalPruning(tower, 1.0, DEFECTS),
        "both normed, half": reduce_tokens(tower, "norm", 0.5),
    }
    cosines = {
        name: torch.cosine_similarity(form(pixels).pooler_output, whole).mean().item() for name, form in forms.items()
    }
    swapped, half = OriginalPruning(tower, 1.0, []), len(pixels) // 2
    here, elsewhere = (
        swapped(torch.cat([pixels[:1], others])).pooler_output[0] for others in (pixels[1 : half + 1], pixels[-half:])
    )
    return cosines, ((here - elsewhere).norm() / here.norm()).item()


@torch.inference_mode()
def features(model: clip.Clip, pixels: Tensor, batch: int = 250) -> Tensor:
    """Features of unit length of all images, in single precision, on the CPU."""
    return torch.cat([model.image_features(part).float().cpu() for part in pixels.split(batch)])


def share(right: Tensor) -> float:
    """Share of answers that are right."""
    return right.float().mean().item()


def packed(right: Tensor) -> str:
    """Answers as one bit each, hexadecimal, the first answer first."""
    bits = "".join("01"[one] for one in right.tolist())
    return f"{int(bits, 2):0{(len(bits) + 3) // 4}x}"
