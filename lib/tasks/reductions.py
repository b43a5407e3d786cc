"""What a token reduction costs a trained CLIP in accuracy, at an equal share of the operations."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from lib.models.clip import cost as vit_cost
from lib.models.clip import load as clip
from lib.models.clip.original_pruning import DEFECTS, SeedPruning
from lib.models.clip.reduction import Reduced, reduce_tokens
from lib.tasks import zero_shot
from lib.tasks.data import images
from lib.tasks.training import clips

KEEPS = (0.9, 0.7, 0.5, 0.3)  # the seed's, and one less
RATIOS = (0.6, 0.5, 0.45, 0.4, 0.35, 0.3, 0.25)  # of the untouched tower's operations
MASSES = (0.95, 0.9, 0.8, 0.7)  # shares of the class token's attention, for the adaptive budget
PATTERNS = 5  # random choices that are averaged


@dataclass(frozen=True)
class Variant:
    """A method by the name that readers see, with its options; by what it is laid on a scale."""

    name: str
    method: str
    options: Mapping[str, Any] = field(default_factory=dict)


LAST = {"class_row_only": True}  # exact, and the same for all, so that only the reduction differs
VARIANTS = (
    Variant("L2 norm", "norm", LAST),
    Variant("L2 norm, summary", "norm", {**LAST, "summary": True}),
    Variant("random", "random", LAST),
    Variant("class attention", "class_attention", LAST),
    Variant("adaptive", "adaptive", LAST),
    Variant("ToMe, constant", "merge", {**LAST, "schedule": "constant"}),
    Variant("ToMe, decreasing", "merge", {**LAST, "schedule": "decreasing"}),
    Variant("merge, then prune", "merge_then_prune", LAST),
    Variant("merge in rounds", "merge_in_rounds", LAST),
)
SEED = Variant("seed's code", "seed")
BY_SHARE = ("L2 norm", "L2 norm, summary", "random", "class attention")  # by the share of patches kept, too


@dataclass(frozen=True)
class Check:
    """All variants on one checkpoint.

    task    "scenes" or "cifar10"
    seed    of the checkpoint
    source  of CIFAR-10: a name of the hub, or a folder
    count   test images, or as many as there are
    steps   none are taken; a sweep sorts by it
    """

    task: str
    seed: int
    source: str = images.CIFAR10
    count: int = 1000
    steps: int = 0


@dataclass(frozen=True)
class Outcome:
    """One variant at one setting on one checkpoint.

    keep       as it was given to the method
    target     share of the operations that it was chosen for; None where it was chosen by the share of patches
    ratio      operations over the untouched tower's, on paper, without scoring and matching
    accuracy   share of right answers; `right` tells which, one bit each, hexadecimal
    agreement  share of the untouched model's answers
    cosine     mean, of features with the untouched model's
    """

    name: str
    keep: float
    target: float | None
    ratio: float
    accuracy: float
    agreement: float
    cosine: float
    right: str


def cost(tower: nn.Module, reduced: Reduced, chosen: int | None = None, side: int | None = None) -> float:
    """Operations of a reduced tower over those of the untouched one, on paper."""
    patches = vit_cost.patches(tower.config, side)
    whole = sum(vit_cost.vision_flops(tower.config, side=side).values())
    seen = reduced.seen(patches, chosen)
    return sum(vit_cost.vision_flops(tower.config, seen, side, reduced.class_row_only).values()) / whole


def at_ratio(tower: nn.Module, method: str, target: float, side: int | None = None, **options) -> Reduced:
    """A tower reduced as little as a share of the untouched one's operations allows.

    raises   ValueError, quoting it, where no number of tokens is few enough
    """
    if not target > 0:
        raise ValueError(f"target = {target}: more than 0 is needed")
    reduce_tokens(tower, method, **options)  # what is wrong with method or options is said as it is
    patches = vit_cost.patches(tower.config, side)
    for left in range(patches, 0, -1):
        try:
            reduced = reduce_tokens(tower, method, left / patches, **options)
            fits = cost(tower, reduced, side=side) <= target
        except ValueError:  # a schedule by which tokens run out
            continue
        if fits:
            return reduced
    raise ValueError(f"target = {target}: {method} does not get there")


def towers(tower: nn.Module, targets: Sequence[float] = RATIOS) -> Iterator[tuple[str, float, Reduced]]:
    """Every variant at every share of the operations that it gets to: its name, the share, the tower."""
    for variant in VARIANTS:
        for target in targets if variant.method != "adaptive" else ():
            try:
                yield variant.name, target, at_ratio(tower, variant.method, target, **variant.options)
            except ValueError:  # an empty place in the table
                continue


def settings(tower: nn.Module) -> Iterator[tuple[str, float | None, nn.Module]]:
    """All that is compared: the seed's code, choices by the share of patches kept, and `towers`."""
    for keep in (1.0, *KEEPS):
        yield SEED.name, None, reduce_tokens(tower, SEED.method, keep)
    for variant in VARIANTS:
        for keep in KEEPS if variant.name in BY_SHARE else MASSES if variant.method == "adaptive" else ():
            yield variant.name, None, reduce_tokens(tower, variant.method, keep, **variant.options)
    yield from towers(tower)


@torch.inference_mode()
def outcomes(
    model: clip.Clip, data: images.Images, chosen: Iterable[tuple[str, float | None, nn.Module]] | None = None
) -> Iterator[Outcome]:
    """The untouched model, and what every one of `settings` makes of it, or of those chosen."""
    tower = model.model.vision_model
    classes = zero_shot.classifier(model, data)
    pixels = model.pixels(data.images)
    base = features(model, pixels)
    answers = zero_shot.predictions(base, classes)
    right = answers == data.classes
    yield Outcome("untouched", 1.0, None, 1.0, share(right), 1.0, 1.0, packed(right))
    for name, target, reduced in settings(tower) if chosen is None else chosen:
        found = []
        for seed in range(PATTERNS if name == "random" else 1):
            reduced.seed = seed
            found.append(features(model.seeing_with(reduced), pixels))
        said = [zero_shot.predictions(one, classes) for one in found]
        means = [sum(share(one == wanted) for one in said) / len(said) for wanted in (data.classes, answers)]
        cosine = torch.stack([(one * base).sum(1).mean() for one in found]).mean().item()
        ratio = _ratio(tower, reduced, pixels)
        yield Outcome(name, reduced.keep, target, ratio, *means, cosine, packed(said[0] == data.classes))


@torch.inference_mode()
def seed_forms(model: clip.Clip, data: images.Images) -> tuple[dict[str, float], float]:
    """What the seed's code makes of a trained model's features when it keeps all patches, by what is mended.

    returns   mean cosines with the untouched tower's: "as written"; "mended" in all; "one normed, all" without the last
              norm alone; "both normed, all" as mended; "both normed, half" by L2 norm. And how far an image's
              features move when the others of its batch change, over their norm, with axes as in section 5.3
    """
    tower, pixels = model.model.vision_model, model.pixels(data.images)
    whole = tower(pixels).pooler_output
    forms = {
        "as written": SeedPruning(tower, 1.0, ["axes"]),
        "mended": SeedPruning(tower, 1.0, DEFECTS),
        "one normed, all": SeedPruning(tower, 1.0, set(DEFECTS) - {"post_layernorm"}),
        "both normed, all": SeedPruning(tower, 1.0, DEFECTS),
        "both normed, half": reduce_tokens(tower, "norm", 0.5),
    }
    cosines = {
        name: torch.cosine_similarity(form(pixels).pooler_output, whole).mean().item() for name, form in forms.items()
    }
    swapped, half = SeedPruning(tower, 1.0, []), len(pixels) // 2
    here, elsewhere = (
        swapped(torch.cat([pixels[:1], others])).pooler_output[0] for others in (pixels[1 : half + 1], pixels[-half:])
    )
    return cosines, ((here - elsewhere).norm() / here.norm()).item()


def checked(check: Check) -> list[dict[str, Any]]:
    """All `outcomes` of a checkpoint, as plain values."""
    data = clips.held_out(check.task, check.source).first(check.count)
    return [vars(one) for one in outcomes(clip.load(f"clip-{check.task}-{check.seed}"), data)]


def features(model: clip.Clip, pixels: Tensor, batch: int = 250) -> Tensor:
    """Of unit length, of all images."""
    return torch.cat([model.image_features(part) for part in pixels.split(batch)])


def share(right: Tensor) -> float:
    return right.float().mean().item()


def packed(right: Tensor) -> str:
    """One bit an answer, hexadecimal, the first answer first."""
    bits = "".join("01"[one] for one in right.tolist())
    return f"{int(bits, 2):0{(len(bits) + 3) // 4}x}"


def _ratio(tower: nn.Module, reduced: nn.Module, pixels: Tensor) -> float:
    if not isinstance(reduced, Reduced):  # the seed's has no class token less, and no layer is computed in part
        patches = vit_cost.patches(tower.config)
        seen = [(1 + int(reduced.keep * patches),) * 2] * tower.config.num_hidden_layers
        whole = sum(vit_cost.vision_flops(tower.config).values())
        return sum(vit_cost.vision_flops(tower.config, seen).values()) / whole
    if reduced.method != "adaptive":
        return cost(tower, reduced)
    counts = torch.cat([(reduced.traced(part)[1].sizes > 0).sum(1) - 1 for part in pixels.split(250)])
    return sum(cost(tower, reduced, count) for count in counts.tolist()) / len(counts)
