"""What adapters do for one checkpoint on this machine: a live demonstration, in a chapter's own run; no record.

The answers before the first step, for LoRA and for what the original report calls so, then a short training with fewer
tokens. And what its formula, W ~ A B, loses by rank.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
import torch

from lib.experiments import base, clip_shown
from lib.experiments.clip_shown import NUMBERS
from lib.experiments.lora_training import PLACES, PROJECTIONS, SCALE
from lib.experiments.sizes import check_memory, quoted
from lib.models.clip import load as clip
from lib.models.clip.reduction import reduce_tokens
from lib.models.factors import low_rank
from lib.models.lora.bottleneck import replace_linear
from lib.models.lora.layers import add_lora, merge_lora
from lib.tasks import zero_shot
from lib.tasks.data.images import named, to_learn
from lib.tasks.training import clips
from lib.tasks.training.loop import train

BOTTLENECK_RANK = 8
RANKS = (1, 2, 4, 8, 16, 32, 48)  # of matrices of 48 rows
MODELS = ("clip-scenes-0", "clip-cifar10-0")
ROWS = {  # of the outcome, in order
    "all tokens": "unreduced",
    "fewer": "{method}, keep {keep}",
    "LoRA": "LoRA before the first step",
    "random": "original report's pseudocode before it",
    "svd": f"original report's formula, rank {BOTTLENECK_RANK}",
    "fewer, adapted": "{method}, adapters",
    "all tokens, adapted": "all tokens, adapters",
}


@dataclass(frozen=True, kw_only=True)
class Settings(base.Settings):
    """Sizes of the demonstration.

    shown       name of the model
    dataset     "scenes", "cifar10", or a folder with it
    images      that judge
    method      of the reduction of tokens
    keep        share of tokens
    rank        of the adapters
    targets     layers, a regular expression
    learning    training steps
    batch       images of a batch
    accumulate  batches of a step
    rate        highest learning rate
    """

    shown: str
    dataset: str
    images: int
    method: str
    keep: float
    rank: int
    targets: str
    learning: int
    batch: int
    accumulate: int
    rate: float


def check(settings: Settings) -> None:
    """Accept settings that can be run here.

    raises   ValueError, naming what is wrong and what is allowed, and for more memory than is free
    """
    try:
        re.compile(settings.targets)
    except re.error as error:
        raise ValueError(f"`targets` is {quoted(settings.targets)}; allowed is a regular expression; {error}") from None
    clip_shown.check(clip_shown.Settings.of(settings))
    learned = settings.learning * settings.batch * settings.accumulate
    check_memory(settings, 0, "learning", "batch", "accumulate", drawn=learned * NUMBERS // 4)
    if settings.shown in clip.checkpoints():  # small enough to try
        add_lora(clip.load(settings.shown).model, settings.targets, settings.rank, SCALE * settings.rank)


def run(settings: Settings) -> dict[str, float]:
    """Accuracies before and after a short training, by the words of ROWS."""
    check(settings)
    generator = settings.generator()
    placed = {"device": settings.device}
    frozen = clip.load(settings.shown, **placed, dtype=settings.torch_dtype)
    judged = named(settings.dataset, settings.images, settings.seed)
    tower = reduce_tokens(frozen.model.vision_model, settings.method, settings.keep, class_row_only=True)
    seen = frozen.seeing_with(tower)
    found = {"all tokens": zero_shot.accuracy(frozen, judged), "fewer": zero_shot.accuracy(seen, judged)}
    for init in ("random", "svd"):  # the original report's pseudocode and its formula
        other = clip.load(settings.shown, **placed)
        replace_linear(other.model, PLACES[PROJECTIONS], BOTTLENECK_RANK, init, generator=generator)
        found[init] = zero_shot.accuracy(other, judged)
    add_lora(frozen.model, settings.targets, settings.rank, SCALE * settings.rank, generator=generator)
    found["LoRA"] = zero_shot.accuracy(frozen, judged)
    _learn(frozen, seen, settings, generator)
    merge_lora(frozen.model)
    found["fewer, adapted"] = zero_shot.accuracy(seen, judged)
    found["all tokens, adapted"] = zero_shot.accuracy(frozen, judged)
    return {words.format(method=settings.method, keep=settings.keep): found[key] for key, words in ROWS.items()}


def _learn(frozen: clip.Clip, seen: clip.Clip, settings: Settings, generator: torch.Generator) -> None:
    count = settings.learning * settings.batch * settings.accumulate
    learned = to_learn(settings.dataset, count, settings.seed)
    mixed = None if settings.dtype == "float32" else settings.torch_dtype
    train(
        frozen.model,
        clips.losses(seen, learned, generator, settings.batch, mixed),
        settings.learning,
        rate=settings.rate,
        accumulate=settings.accumulate,
        half=settings.dtype == "float16",
        generator=generator,
    )


def factors(models: Sequence[str] = MODELS, ranks: Sequence[int] = RANKS) -> pd.DataFrame:
    """Relative error of the best factors of each rank, of both projections: columns model, rank, error."""
    rows = []
    for name in models:
        loaded = clip.load(name).model
        for layer in ("visual_projection", "text_projection"):
            weight = loaded.get_submodule(layer).weight.detach()
            for rank in ranks:
                left, right = low_rank(weight, rank)
                error = ((weight - left @ right).norm() / weight.norm()).item()
                rows.append({"model": f"{name}, {layer.partition('_')[0]}", "rank": rank, "error": error})
    return pd.DataFrame(rows)


def answers(images: int, seed: int, model: str = MODELS[0], ranks: Sequence[int] = RANKS) -> pd.DataFrame:
    """Accuracy on scenes with both projections replaced by their best factors: columns model, rank, accuracy."""
    scenes, rows = named("scenes", images, seed), []
    for rank in ranks:
        other = clip.load(model)
        replace_linear(other.model, PLACES[PROJECTIONS], rank, "svd")
        rows.append({"model": model, "rank": rank, "accuracy": zero_shot.accuracy(other, scenes)})
    return pd.DataFrame(rows)
