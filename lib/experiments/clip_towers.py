"""One line into any tower: latency at half of the tokens, and which methods leave the output as it is with all of them.

Towers of transformers at their published sizes, with random weights, whole and reduced in turns. Which methods give the
model's own bits is counted on the same tower, all patches kept.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pandas as pd
import torch
import transformers
from torch import Tensor, nn
from transformers import PretrainedConfig

from lib import names
from lib.experiments import base, command
from lib.experiments.clip_variants import UNREDUCED
from lib.experiments.sizes import check_memory
from lib.models.clip.reduction import kind, reduce_tokens
from lib.models.clip.tower.families import REASONS
from lib.profilers.profile import profile
from lib.records import Record

NAME = "clip_towers"
CHAPTER = "clip_vtp"
TIMED = "timed"
PARTS = {TIMED: ("tower", "patches", "width", "layers", "batch", "keep", "same", "apart", "refused", "input_bytes")}
HALF = 0.5
REFUSED = REASONS  # package of transformers -> why its towers are not served
METHODS = ("merge_in_rounds", "merge")  # timed; all are tried with all patches kept


@dataclass(frozen=True)
class Sizes:
    """A tower of transformers.

    name      of its classes there, without Config and Model
    side      pixels of an image
    options   of its configuration, where they are not the defaults
    """

    name: str
    side: int = 224
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def config(self) -> PretrainedConfig:
        """Its configuration."""
        return getattr(transformers, f"{self.name}Config")(image_size=self.side, **self.options)

    @property
    def numbers(self) -> int:
        """Numbers that an image and its widest layer take: projections, and an MLP four times as wide."""
        return 3 * self.side**2 + (1 + (self.side // self.config.patch_size) ** 2) * 12 * self.config.hidden_size

    def built(self, seed: int) -> nn.Module:
        """The tower, in evaluation mode, with random weights."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return getattr(transformers, f"{self.name}Model")(self.config).eval()


LARGE = {"hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16}
TOWERS = {  # as readers know them -> sizes; those of the base size are the defaults of transformers
    "CLIP ViT-B/32": Sizes("CLIPVision"),
    "CLIP ViT-B/16": Sizes("CLIPVision", options={"patch_size": 16}),
    "CLIP ViT-L/14": Sizes("CLIPVision", options={"patch_size": 14, "intermediate_size": 4096, **LARGE}),
    "SigLIP and SigLIP 2, B/16": Sizes("SiglipVision"),
    "SigLIP and SigLIP 2, B/16, 384 pixels": Sizes("SiglipVision", 384),
    "MetaCLIP 2, B/32": Sizes("MetaClip2Vision"),
    "CLIPSeg, B/16, 352 pixels": Sizes("CLIPSegVision", 352, {"patch_size": 16}),
    "DINOv2, B/14": Sizes("Dinov2", options={"patch_size": 14}),
    "DINOv2 with registers, B/14": Sizes("Dinov2WithRegisters", options={"patch_size": 14}),
    "ViT-B/16": Sizes("ViT"),
    "DeiT-B/16": Sizes("DeiT"),
}


@dataclass(frozen=True, kw_only=True)
class Settings(base.Settings):
    """What is timed.

    images   at once
    only     names of towers, with semicolons; all where left out
    """

    images: int = 1
    only: str = ""


def run(settings: Settings) -> Record:
    """Time each tower whole and at half of its tokens, and compare outputs with all of them.

    raises   ValueError, quoting it, for a tower that is not in the table, and for more memory than is free
    """
    wanted = [one.strip() for one in settings.only.split(";") if one.strip()] or list(TOWERS)
    if unknown := [one for one in wanted if one not in TOWERS]:
        raise ValueError(f"only = {unknown[0]!r}: one of {'; '.join(TOWERS)} is needed")
    largest = max(TOWERS[one].numbers for one in wanted)
    check_memory(settings, settings.images * largest, "images")
    cases = base.Cases(PARTS)
    for name in wanted:
        _add(cases, settings, name)
    return base.record(NAME, cases, settings)


def _add(cases: base.Cases, settings: Settings, name: str) -> None:
    sizes = TOWERS[name]
    tower = sizes.built(settings.seed).to(settings.device, settings.torch_dtype)
    shape = (settings.images, 3, sizes.side, sizes.side)
    x = torch.randn(shape, generator=settings.generator()).to(settings.device, settings.torch_dtype)
    with torch.inference_mode():
        same, apart, refused = compared(tower, x)
        calls = {UNREDUCED: partial(tower, x)}
        for method in METHODS:
            calls[names.REDUCTIONS[method].label] = partial(reduce_tokens(tower, method, HALF), x)
        at = {"tower": name, "patches": (sizes.side // tower.config.patch_size) ** 2, "batch": settings.images}
        at |= {"width": tower.config.hidden_size, "layers": tower.config.num_hidden_layers, "input_bytes": x.nbytes}
        at |= {"same": same, "apart": ", ".join(apart), "refused": ", ".join(refused)}
        for variant, result in profile(calls, **settings.timing).items():
            cases.add(TIMED, variant, result, keep=1.0 if variant == UNREDUCED else HALF, **at)


def compared(tower: nn.Module, x: Tensor) -> tuple[int, list[str], list[str]]:
    """Methods whose output with all patches is the tower's: their number; those by which it is not, and those refused.

    The original report's code, which is not exact by intention, is not tried.
    """
    whole, same, apart, refused = tower(x).last_hidden_state, 0, [], []
    for method in names.REDUCTIONS:
        if not kind(method).exact:
            continue
        try:
            reduced = reduce_tokens(tower, method, 1.0)
        except ValueError:
            refused.append(method)
            continue
        if torch.equal(reduced(x).last_hidden_state, whole):
            same += 1
        else:
            apart.append(method)
    return same, apart, refused


def frame(found: Iterable[Record]) -> pd.DataFrame:
    """One row per case of these records, see `lib.experiments.base.frame`."""
    return base.frame(found, PARTS)


def main() -> None:
    """Run this experiment from the command line, see `lib.experiments.command.main`."""
    command.main(__doc__, CHAPTER, Settings, run, frame)


if __name__ == "__main__":
    main()
