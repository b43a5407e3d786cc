"""Learning what a token reduction leaves to be learned, by the features of the unreduced model, without labels."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lib.models.checks import check_count, check_kind, check_shape
from lib.models.clip.learned import Learned
from lib.models.clip.load import Clip
from lib.tasks.training.loop import train

RATE, STRICT = 1e-2, 10.0  # the highest rate; what being off the budget weighs


def learn(
    reduced: Learned,
    clip: Clip,
    pixels: Float[Tensor, "B 3 side side"],
    steps: int,
    generator: torch.Generator,
    *,
    batch: int = 64,
    rate: float = RATE,
    progress: bool = False,
) -> list[float]:
    """Learn a reduction's numbers, and nothing else, so that features are those of the unreduced model.

    The loss of a step is one minus the mean cosine of a batch's features with the unreduced model's; where a reduction
    has a budget, what it is off it weighs beside that.

    reduced     of the model's tower; its `learned` changes
    pixels      of training images, as `Clip.pixels` makes them
    generator   draws the batches
    rate        the highest, of AdamW without decay
    returns     the loss of every step
    raises      TypeError for another reduction; ValueError, quoting it, for a batch below 1, for no images, for a
                reduction of another tower, and for one that takes nothing away; what `train` raises
    """
    check_kind("reduced", reduced, Learned, "reduction of `learnable`")
    check_count("batch", batch)
    check_shape("pixels", pixels, "B", 3, "H", "W")
    if reduced.model is not clip.model.vision_model:
        raise ValueError(f"reduced: its tower is not that of {clip.name}, whose features it is to keep")
    if not any(cut.count for cut in reduced.plan(reduced.tower.patches)):
        raise ValueError(f"keep = {reduced.keep}: all patches stay, so that there is nothing to learn")
    with _frozen(clip.model):
        with torch.no_grad():
            whole = torch.cat([clip.image_features(part) for part in pixels.split(batch)])

        def losses() -> Iterator[Tensor]:
            while True:
                chosen = torch.randint(len(pixels), (batch,), generator=generator).to(pixels.device)
                view = reduced.softly()
                seen = clip.seeing_with(view).image_features(pixels[chosen])
                apart = 1 - (seen * whole[chosen]).sum(1).mean()
                yield apart + STRICT * view.off_budget().to(apart.device)

        reduced.settle(pixels)  # near the budget from the first step
        found = train(reduced.learned, losses(), steps, rate=rate, decay=0.0, progress=progress)
        reduced.settle(pixels)
    return found


@contextmanager
def _frozen(model: nn.Module) -> Iterator[None]:
    """All weights without gradients meanwhile."""
    learning = [weight for weight in model.parameters() if weight.requires_grad]
    for weight in learning:
        weight.requires_grad_(False)
    try:
        yield
    finally:
        for weight in learning:
            weight.requires_grad_(True)
