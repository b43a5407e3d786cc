"""Growing images: what towers of state space blocks cost beside CLIP's transformer, from 64 patches on.

Towers of the small CLIP's size, of equal parameters, with random weights, in turns: a forward pass, and a training step
where it fits into minutes. Attention is torch's fused one.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType

import pandas as pd
import torch
from torch import Tensor, nn
from transformers import CLIPVisionConfig, CLIPVisionModel

from lib import names
from lib.experiments import base, command
from lib.experiments.sizes import ATTENDED, among, check_memory
from lib.models.checks import check_count
from lib.models.ssm_vlm.tower import VisionTower
from lib.profilers.profile import profile
from lib.records import Record

NAME = "ssm_vlm_scaling"
CHAPTER = "ssm_vlm"
FORWARD, TRAINING = "forward", "training"
PARTS = {one: ("patches", "batch", "dim", "blocks", "parameters", "input_bytes") for one in (FORWARD, TRAINING)}
TRANSFORMER = "transformer"
PATCH, HEAD, INNER = 8, 32, 3  # pixels of a patch; channels of a head; width of an MLP relative to the tower's
LEAST = 8  # patches along a side of the smallest image
TRAINED = 4096  # patches of the largest image that a step trains on


@dataclass(frozen=True, kw_only=True)
class Settings(base.Settings):
    """What is timed.

    batch    images at once
    length   patches of the largest image, at most; images are squares of 8, 16, 32, ... patches a side
    dim      channels D, a multiple of 32
    layers   of the transformer; the other towers have as many parameters
    """

    batch: int
    length: int
    dim: int
    layers: int


def check(settings: Settings) -> None:
    """Accept settings that can be run here.

    raises   ValueError, naming what decides it, for sizes that do not fit, and for more memory than is free
    """
    check_count("length", settings.length, LEAST**2, ATTENDED)
    if settings.dim % HEAD:
        raise ValueError(f"dim = {settings.dim}: a multiple of {HEAD}, the channels of a head, is needed")
    patches = sides(settings)[-1] ** 2
    widest = 4 * 2 * settings.dim  # channels of a scan in four directions
    drawn = settings.batch * 3 * PATCH**2 * patches
    check_memory(settings, drawn + 4 * settings.batch * patches * widest, "batch", "length", "dim", drawn=drawn)


def run(settings: Settings, only: Mapping[str, Collection] = MappingProxyType({})) -> Record:
    """Time every tower on every size of image, forward and in training.

    only   patches -> numbers of them: other images are left out
    """
    check(settings)
    cases = base.Cases(PARTS)
    for side in sides(settings):
        if among(only, patches=side**2):
            _add(cases, settings, side)
    return base.record(NAME, cases, settings)


def sides(settings: Settings) -> list[int]:
    """Patches along a side of each image, the smallest first."""
    found = [LEAST]
    while (2 * found[-1]) ** 2 <= settings.length:
        found.append(2 * found[-1])
    return found


def config(settings: Settings, side: int) -> CLIPVisionConfig:
    """Of the transformer for images of `side` patches a side."""
    sizes = {"hidden_size": settings.dim, "intermediate_size": INNER * settings.dim}
    sizes |= {"num_hidden_layers": settings.layers, "num_attention_heads": settings.dim // HEAD}
    return CLIPVisionConfig(**sizes, image_size=PATCH * side, patch_size=PATCH)


def towers(settings: Settings, side: int) -> dict[str, nn.Module]:
    """Label -> tower, the transformer first, in evaluation mode."""
    made, generator = config(settings, side), settings.generator()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        found: dict[str, nn.Module] = {TRANSFORMER: CLIPVisionModel(made)}
    for kind, row in names.TOWERS.items():
        found[row.label] = VisionTower(made, kind, generator=generator)
    return {label: tower.to(settings.device, settings.torch_dtype).eval() for label, tower in found.items()}


def _add(cases: base.Cases, settings: Settings, side: int) -> None:
    shape = (settings.batch, 3, PATCH * side, PATCH * side)
    x = torch.randn(shape, generator=settings.generator()).to(settings.device, settings.torch_dtype)
    here = towers(settings, side)
    passes = {FORWARD: (features, True), TRAINING: (step, False)}
    for part, (call, inference) in passes.items():
        if part == TRAINING and side**2 > TRAINED:
            continue
        calls = {label: partial(call, tower, x) for label, tower in here.items()}
        for label, result in profile(calls, inference=inference, **settings.timing).items():
            counted = sum(one.numel() for name, one in here[label].named_parameters() if "position" not in name)
            at = {"patches": side**2, "batch": settings.batch, "dim": settings.dim, "input_bytes": x.nbytes}
            cases.add(part, label, result, parameters={"parameters": counted, "blocks": blocks(here[label])}, **at)


def blocks(tower: nn.Module) -> int:
    """Layers of a transformer, or mixers of another tower."""
    return len(tower.layers) if isinstance(tower, VisionTower) else tower.config.num_hidden_layers


def features(tower: nn.Module, x: Tensor) -> Tensor:
    """An image's features."""
    return tower(pixel_values=x).pooler_output


def step(tower: nn.Module, x: Tensor) -> None:
    """A forward pass and the gradients of all weights, which it leaves behind no gradient of."""
    features(tower, x).square().mean().backward()
    tower.zero_grad(set_to_none=True)


def frame(found: Iterable[Record]) -> pd.DataFrame:
    """One row per case of these records, see `lib.experiments.base.frame`."""
    return base.frame(found, PARTS)


def main() -> None:
    """Run this experiment from the command line, see `lib.experiments.command.main`."""
    command.main(__doc__, CHAPTER, Settings, run, frame)


if __name__ == "__main__":
    main()
