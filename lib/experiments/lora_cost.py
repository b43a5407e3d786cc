"""What adapters cost: a training step, the forward pass with adapters apart and merged, and that of fewer tokens.

A step by full fine-tuning, by our adapters and by peft's, in turns, on CLIP's own sizes with random weights. The last
part times the small CLIP that is trained in `lib.experiments.lora_tokens`, so that latency and accuracy are of one
model.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial

import pandas as pd
import torch
from peft import LoraConfig, get_peft_model
from torch import Tensor, nn

from lib.experiments import base, command
from lib.experiments.clip_shown import check_images, sizes_of
from lib.experiments.lora_tokens import VARIANTS
from lib.experiments.lora_training import EVERYWHERE, FULL, PLACES, RANK, SCALE, USUAL
from lib.models.checks import check_choice
from lib.models.clip import cost
from lib.models.clip import load as clip
from lib.models.clip.reduction import reduce_tokens
from lib.models.lora.layers import add_lora, merge_lora, trainable_report
from lib.profilers.profile import profile
from lib.records import Record

NAME = "lora_cost"
CHAPTER = "lora"
STEP, DEPLOYED, SMALL = "step", "deployed", "small"
COLUMNS = ("batch", "side", "input_bytes")
LEARNS = ("trainable", "total", "gradient_bytes", "optimiser_bytes")
PARTS = {STEP: (*COLUMNS, *LEARNS), DEPLOYED: COLUMNS, SMALL: COLUMNS}
UNREDUCED, APART, MERGED = "unreduced", "adapters apart", "adapters merged"
WORDS = {"variant": {"untouched": UNREDUCED}}
OTHER = "queries, values, projections, rank 8"
SIZES = {USUAL: (EVERYWHERE, RANK), OTHER: ("queries, values, projections", 8)}
SHOWN, TEXT = 64, 16  # images at once that the small tower sees; tokens of a text
RATE = 1e-5  # of the timed steps, which learn nothing

Call = Callable[[], object]


@dataclass(frozen=True, kw_only=True)
class Settings(base.Settings):
    """Sizes of what is timed.

    timed   a model whose sizes are known (`lib.models.clip.load.shipped`), or a checkpoint of ours
    batch   images of a step
    every   whether adapters in a second place are timed, too
    small   the checkpoint whose tower is timed with fewer tokens
    """

    timed: str
    batch: int
    every: bool = True
    small: str = "clip-scenes-0"


def check(settings: Settings) -> None:
    """Accept settings that can be run here.

    raises   ValueError, naming what decides it, for a model of unknown sizes, and for more memory than is free
    """
    check_choice("small", settings.small, clip.checkpoints())
    vision = sizes_of(settings.timed, ours=True).vision_config
    check_images(settings, vision, kept=vision.num_hidden_layers)


def run(settings: Settings) -> Record:
    """Time a training step of each way to learn, the merged and the unmerged forward pass, and fewer tokens."""
    check(settings)
    cases, generator = base.Cases(PARTS), settings.generator()
    whole = _fresh(settings)
    inputs = _inputs(whole, settings, generator)
    pixels = inputs["pixel_values"]
    at = {"batch": settings.batch, "side": pixels.shape[-1], "input_bytes": pixels.nbytes}
    learning = {FULL: whole, **dict(_adapters(settings, generator))}
    calls, counted = {}, {}
    for name, model in learning.items():
        calls[name], counted[name] = _stepping(model, inputs)
    for name, result in profile(calls, **settings.timing, inference=False).items():
        cases.add(STEP, name, result, **at, **counted[name])
    adapted = learning[USUAL].eval()
    del calls, learning, whole  # their memory and the optimisers' is free
    for name, result in profile(_forward(settings, adapted, pixels), **settings.timing).items():
        cases.add(DEPLOYED, name, result, **at)
    tower = clip.load(settings.small).model.vision_model.to(settings.device)
    side = tower.config.image_size
    few = torch.randn(SHOWN, 3, side, side, generator=generator).to(settings.device)
    for name, result in profile(_reduced(tower, few), **settings.timing).items():
        cases.add(SMALL, name, result, batch=SHOWN, side=side, input_bytes=few.nbytes)
    return base.record(NAME, cases, settings)


def _fresh(settings: Settings) -> nn.Module:
    """The timed model, of the same weights each time."""
    if settings.timed in clip.checkpoints():
        return clip.load(settings.timed, settings.device).model
    return clip.random_init(settings.timed, settings.seed).to(settings.device)


def _inputs(model: nn.Module, settings: Settings, generator: torch.Generator) -> dict[str, Tensor]:
    """Images of the model's size, and a text of TEXT tokens for each, drawn at random."""
    config = model.config
    words, end = config.text_config.vocab_size, config.text_config.eos_token_id
    tokens = torch.randint(4, words - 1, (settings.batch, TEXT), generator=generator)
    tokens[:, -1] = end if 2 < end < words else words - 1  # an older layout reads the highest number as the end
    side = config.vision_config.image_size
    x = torch.randn(settings.batch, 3, side, side, generator=generator)
    return {"pixel_values": x.to(settings.device), "input_ids": tokens.to(settings.device)}


def _adapters(settings: Settings, generator: torch.Generator) -> Iterator[tuple[str, nn.Module]]:
    """Models with adapters in each place, ours and peft's."""
    for name, (place, rank) in list(SIZES.items())[: None if settings.every else 1]:
        ours, alpha = _fresh(settings), SCALE * rank
        add_lora(ours, PLACES[place], rank, alpha, generator=generator)
        yield name, ours
        config = LoraConfig(r=rank, lora_alpha=alpha, target_modules=PLACES[place])
        yield f"peft: {name}", get_peft_model(_fresh(settings), config)


def _stepping(model: nn.Module, inputs: dict[str, Tensor]) -> tuple[Call, dict[str, int]]:
    """A call that takes one training step, and what learns."""
    model.to(inputs["pixel_values"].device).train()
    optimiser = torch.optim.AdamW([weight for weight in model.parameters() if weight.requires_grad], lr=RATE)
    call = partial(step, model, optimiser, **inputs)
    call()  # the optimiser's moments are there from the first step on
    return call, vars(trainable_report(model)) | {"optimiser_bytes": state_bytes(optimiser)}


def _forward(settings: Settings, adapted: nn.Module, pixels: Tensor) -> dict[str, Call]:
    merged, (place, rank) = _fresh(settings), SIZES[USUAL]
    add_lora(merged, PLACES[place], rank, SCALE * rank)
    merge_lora(merged)
    models = {UNREDUCED: _fresh(settings), APART: adapted, MERGED: merged}
    return {name: partial(model.get_image_features, pixels) for name, model in models.items()}


def _reduced(tower: nn.Module, pixels: Tensor) -> dict[str, Call]:
    calls: dict[str, Call] = {UNREDUCED: partial(tower, pixels)}
    for name, options in VARIANTS.items():
        given = {"method": "merge_in_rounds", **options}
        calls[name] = partial(reduce_tokens(tower, **given, class_row_only=True), pixels)
    return calls


def state_bytes(optimiser: torch.optim.Optimizer) -> int:
    """Bytes of what an optimiser keeps after a step."""
    return sum(value.nbytes for state in optimiser.state.values() for value in state.values())


def step(model: nn.Module, optimiser: torch.optim.Optimizer, **inputs: Tensor) -> None:
    """Take one training step by the loss that transformers has for CLIP, for what it costs."""
    optimiser.zero_grad(set_to_none=True)
    model(**inputs, return_loss=True).loss.backward()
    optimiser.step()


def tokens(timed: str) -> int:
    """Number of visual tokens of an image, the class token included, of a model that is timed."""
    return 1 + cost.patches(sizes_of(timed, ours=True).vision_config)


def frame(found: Iterable[Record]) -> pd.DataFrame:
    """One row per case of these records, see `lib.experiments.base.frame`."""
    return base.frame(found, PARTS, WORDS)


def main() -> None:
    """Run this experiment from the command line, see `lib.experiments.command.main`."""
    command.main(__doc__, CHAPTER, Settings, run, frame)


if __name__ == "__main__":
    main()
