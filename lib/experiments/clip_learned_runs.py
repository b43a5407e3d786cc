"""Learned reductions of one checkpoint at one share of patches, judged beside the same without what was learned."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lib import names
from lib.experiments.clip_outcomes import outcomes
from lib.experiments.clip_variants import ADAPTIVE, CLASS_ATTENTION, LAST, NORM, SUMMARY, at_ratio, mean_cost
from lib.models.clip import load as clip
from lib.models.clip.learned import Learned, learnable
from lib.models.clip.reduction import reduce_tokens
from lib.tasks.training import clips
from lib.tasks.training.reductions import learn

TOKEN, SHIFT, BY_IMAGE = (names.LEARNED[name].label for name in ("summary_token", "summary_shift", "threshold"))
ONE = "one threshold for all"
HALVINGS = 12  # that find the share of attention of a budget per image
SEEDS = 1000  # by which a checkpoint's draws differ from its training's


@dataclass(frozen=True)
class Plan:
    """Learning on one checkpoint; fields as in `lib.experiments.clip_learned.Settings`."""

    task: str
    seed: int
    keep: float
    source: str
    learned: int
    count: int
    steps: int
    per_step: int

    @property
    def name(self) -> str:
        """Name of the checkpoint."""
        return f"clip-{self.task}-{self.seed}"

    @property
    def reads(self) -> list[Path]:
        """Files that decide what comes out, besides the code."""
        return clip.files(self.name)


def judged(plan: Plan) -> dict[str, Any]:
    """Learn every row of `lib.names.LEARNED`, and judge it beside its controls, as plain values.

    returns   "outcomes", of `lib.experiments.clip_outcomes.Outcome`; label -> "losses", "weights"
    """
    model = clip.load(plan.name)
    tower = model.model.vision_model
    pictures = clips.training_images(clips.Plan(plan.task, plan.seed, 1, plan.source), plan.learned)
    pixels = model.pixels(pictures.images)
    losses, made = {}, {}
    for method, row in names.LEARNED.items():
        made[row.label] = learnable(tower, method, plan.keep, **LAST)
        generator = torch.Generator().manual_seed(SEEDS + plan.seed)
        found = learn(made[row.label], model, pixels, plan.steps, generator, batch=plan.per_step)
        losses[row.label] = found[:: max(1, plan.steps // 20)]
    data = clips.held_out(plan.task, plan.source).first(plan.count)
    towers = [*made.items(), *_controls(tower, plan.keep, pixels, made[BY_IMAGE], model.pixels(data.images))]
    found = outcomes(model, data, ((name, None, one) for name, one in towers))
    weights = {label: labelled(one) for label, one in made.items()}
    return {"outcomes": [asdict(one) for one in found], "losses": losses, "weights": weights}


def _controls(
    tower: nn.Module, keep: float, learned: Tensor, by_image: Learned, tested: Tensor
) -> Iterator[tuple[str, nn.Module]]:
    """The same choices without a learned number, by their labels; budgets per image by images to learn on.

    tested   decides by how many operations a choice of a fixed number is compared with the learned threshold
    """
    yield NORM, reduce_tokens(tower, "norm", keep, **LAST)
    yield SUMMARY, reduce_tokens(tower, "norm", keep, summary=True, **LAST)
    one = learnable(tower, "threshold", keep, **LAST)
    one.settle(learned)
    yield ONE, one
    yield ADAPTIVE, reduce_tokens(tower, "adaptive", _mass(tower, keep, learned), **LAST)
    yield CLASS_ATTENTION, at_ratio(tower, "class_attention", mean_cost(tower, by_image, tested), **LAST)


@torch.inference_mode()
def _mass(tower: nn.Module, keep: float, pixels: Tensor) -> float:
    """Share of the class token's attention by which these images keep a share of their patches, on average."""
    low, high = 0.0, 1.0
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        reduced = reduce_tokens(tower, "adaptive", middle, **LAST)
        counts = [(reduced.traced(part)[1].sizes > 0).sum(1) - 1 for part in pixels.split(250)]
        less = torch.cat(counts).double().mean() < keep * reduced.tower.patches
        low, high = (middle, high) if less else (low, middle)
    return high


def labelled(reduced: Learned) -> dict[str, list]:
    """What was learned, by its name, as plain values."""
    return {name: value.tolist() for name, value in reduced.learned.state_dict().items()}


def again(tower: nn.Module, keep: float, weights: dict[str, list], tile: int) -> Learned:
    """A tower with a learned threshold from its plain values.

    tile   to which the lengths of buckets are rounded up
    """
    made = learnable(tower, "threshold", keep, tile=tile, **LAST)
    made.learned.load_state_dict({name: torch.tensor(value) for name, value in weights.items()})
    return made
