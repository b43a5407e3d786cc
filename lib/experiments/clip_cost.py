"""What fewer visual tokens save in time, memory and operations; variants take turns.

At the size of ViT-B/16, with random weights: the original report's code at its sizes; all methods at one share of the
operations, each beside a tower that takes the first tokens in place of the right ones; merging over resolutions. And
all methods at all shares on the small CLIPs that accuracies are measured of, a checkpoint per task.
"""

import copy
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial

import pandas as pd
import torch
from torch import Tensor, nn

from lib.experiments import base, command
from lib.experiments.clip_shown import check_images, sizes_of
from lib.experiments.clip_variants import KEEPS, OLD, RATIOS, ROUNDS, SHARE, SLICED, UNREDUCED, towers
from lib.models.clip import cost as vit_cost
from lib.models.clip import load as clip
from lib.models.clip.reduction import reduce_tokens
from lib.names import REDUCTIONS, SMALL_CLIPS
from lib.profilers.profile import profile
from lib.records import Record
from lib.tasks.data.images import named

NAME = "clip_cost"
CHAPTER = "clip_vtp"
ORIGINAL, METHODS, RESOLUTION, SMALL = "original", "methods", "resolution", "small"
PARTS = {
    ORIGINAL: ("batch", "side", "keep", "input_bytes"),
    METHODS: ("batch", "side", "keep", "input_bytes"),
    RESOLUTION: ("batch", "side", "keep", "patches", "input_bytes"),
    SMALL: ("task", "checkpoint", "batch", "side", "target", "input_bytes"),
}
WORDS = {"variant": OLD, "part": {"seed": ORIGINAL}}
HALF_PRECISION = "bfloat16"  # the unreduced tower's: a saving without any reduction
QUARTER = 1 / 4  # of the tokens, over resolutions
SIDES = (128, 224, 336, 448)  # pixels
CHECKPOINT = "clip-{}-0"  # the small model of a task: of one size, but for the patches' embedding


@dataclass(frozen=True, kw_only=True)
class Settings(base.Settings):
    """What is timed.

    timed    a model whose sizes are known (`lib.models.clip.load.shipped`), or a checkpoint of ours
    batch    images at once
    side     pixels of the largest image of RESOLUTION
    method   of `lib.names.REDUCTIONS`, timed alone where not all are compared
    keep     its share of tokens
    compare  all methods at a share of the operations, and the small models; else `method` alone
    scenes   that a small model sees at once
    """

    timed: str
    batch: int
    side: int
    method: str = "merge_in_rounds"
    keep: float = 0.5
    compare: bool = True
    scenes: int = 64


def check(settings: Settings) -> None:
    """Accept settings that can be run here.

    raises   ValueError, naming what decides it, for a model of unknown sizes, and for more memory than is free
    """
    check_images(settings, sizes_of(settings.timed, ours=True).vision_config)


def run(settings: Settings) -> Record:
    """Time the original report's code by the share of patches kept, and the reductions, beside the unreduced tower."""
    check(settings)
    cases = base.Cases(PARTS)
    generator = settings.generator()
    vision = _tower(settings)
    usual = vision.config.image_size
    x = _images(settings, settings.batch, usual, generator)
    at = {"batch": settings.batch, "side": usual, "input_bytes": x.nbytes}
    calls, kept = {UNREDUCED: partial(vision, x)}, {UNREDUCED: 1.0}
    for keep in (1.0, *KEEPS):
        calls[f"keep {keep}"], kept[f"keep {keep}"] = partial(reduce_tokens(vision, "original", keep), x), keep
    for name, result in profile(calls, **settings.timing).items():
        cases.add(ORIGINAL, name, result, keep=kept[name], **at)
    for name, result in profile(_methods(settings, vision, x), **settings.timing).items():
        cases.add(METHODS, name, result, keep=settings.keep, **at)
    _over_resolution(cases, settings, vision, generator)
    if settings.compare:
        time_small(cases, settings)
    return base.record(NAME, cases, settings)


def _tower(settings: Settings) -> nn.Module:
    """The timed tower: with random weights, or that of a checkpoint of ours."""
    if settings.timed in clip.checkpoints():
        return clip.load(settings.timed, settings.device, settings.torch_dtype).model.vision_model
    return clip.random_init(settings.timed, settings.seed, settings.torch_dtype).vision_model.to(settings.device)


def _methods(settings: Settings, vision: nn.Module, x: Tensor) -> dict[str, partial]:
    calls = {UNREDUCED: partial(vision, x)}
    if not settings.compare:
        label = REDUCTIONS[settings.method].label
        return calls | {label: partial(reduce_tokens(vision, settings.method, settings.keep), x)}
    for name, _, reduced in towers(vision, [SHARE]):
        calls[name] = partial(reduced, x)
        calls[f"{name}{SLICED}"] = partial(reduced.sliced(), x)
    return calls | {HALF_PRECISION: partial(copy.deepcopy(vision).bfloat16(), x.bfloat16())}


def _over_resolution(cases: base.Cases, settings: Settings, vision: nn.Module, generator: torch.Generator) -> None:
    fewer = reduce_tokens(vision, "merge_in_rounds", QUARTER, class_row_only=True)
    few = max(1, settings.batch // 4)
    for side in [one for one in SIDES if one <= settings.side]:
        x = _images(settings, few, side, generator)
        calls = {
            name: partial(model, x, interpolate_pos_encoding=True)
            for name, model in ((UNREDUCED, vision), (ROUNDS, fewer))
        }
        at = {"batch": few, "side": side, "input_bytes": x.nbytes, "patches": vit_cost.patches(vision.config, side)}
        for name, result in profile(calls, **settings.timing).items():
            cases.add(RESOLUTION, name, result, keep=QUARTER, **at)


def time_small(cases: base.Cases, settings: Settings) -> None:
    """One pass of each task's own small CLIP, whole and reduced, on a batch of `scenes` images."""
    scenes = named("scenes", settings.scenes, settings.seed).images  # what they show decides no method's time
    for task in SMALL_CLIPS:
        checkpoint = CHECKPOINT.format(task)
        model = clip.load(checkpoint, device=settings.device)
        x, tower = model.pixels(scenes), model.model.vision_model
        calls = {(UNREDUCED, 1.0): partial(tower, x)}
        calls |= {(name, target): partial(reduced, x) for name, target, reduced in towers(tower, RATIOS)}
        at = {"batch": len(x), "side": tower.config.image_size, "input_bytes": x.nbytes}
        at |= {"task": task, "checkpoint": checkpoint}
        for (name, target), result in profile(calls, **settings.timing).items():
            cases.add(SMALL, name, result, target=target, **at)


def _images(settings: Settings, count: int, side: int, generator: torch.Generator) -> Tensor:
    return torch.randn(count, 3, side, side, generator=generator).to(settings.device, settings.torch_dtype)


def frame(found: Iterable[Record]) -> pd.DataFrame:
    """One row per case of these records, see `lib.experiments.base.frame`.

    `tokens`, of the part ORIGINAL: those in every layer, by the model's sizes and the share of patches kept.
    """
    found = list(found)
    return pd.concat([_with_tokens(base.frame([_with_tasks(one)], PARTS, WORDS), one) for one in found])


def _with_tasks(one: Record) -> Record:
    """A record that has small models of all tasks; of older ones the time of that of scenes counts for all."""
    cases = []
    for case in one.cases:
        named_there = case.parameters.get("part") != SMALL or "task" in case.parameters
        for task in [None] if named_there else SMALL_CLIPS:
            more = {} if task is None else {"task": task, "checkpoint": CHECKPOINT.format("scenes")}
            cases.append(case.model_copy(update={"parameters": case.parameters | more}))
    return one.model_copy(update={"cases": cases})


def _with_tokens(rows: pd.DataFrame, one: Record) -> pd.DataFrame:
    config = sizes_of(one.parameters["timed"], ours=True).vision_config
    patches = vit_cost.patches(config)
    kept = rows.get("keep", pd.Series(pd.NA, rows.index)).where(rows["part"] == ORIGINAL)
    return rows.assign(tokens=1 + (kept * patches).map(int, na_action="ignore"))


def main() -> None:
    """Run this experiment from the command line, see `lib.experiments.command.main`."""
    command.main(__doc__, CHAPTER, Settings, run, frame)


if __name__ == "__main__":
    main()
