"""What multi-resolution models on the real selective scan cost, in a forward pass and in a training step.

Two widths and five lengths; at one of these sizes, all downsampling factors. The baseline is a Mamba; the variants have
the same number of parameters, or, where their name says so, its width. The variants of a setting take turns.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import product
from types import MappingProxyType

import pandas as pd
import torch

from lib.experiments import base, command
from lib.experiments.sizes import among, check_memory
from lib.models.mrss import variants as mrss
from lib.models.ssm import mixers
from lib.models.ssm.mamba import MambaConfig
from lib.profilers.passes import passes
from lib.records import Record

NAME = "mrss_scan"
CHAPTER = "mrss"
FORWARD, TRAINING = "forward", "training"
COLUMNS = ("batch", "length", "dim", "input_bytes", "form", "factor", "parameters")
PARTS = {FORWARD: COLUMNS, TRAINING: COLUMNS}
BASELINE = "baseline"
DUAL, LOW, HYBRID, DYNAMIC = "dual", "low", "hybrid", "dynamic"  # forms, as records name them
AS_WIDE = "dual as wide"  # as the baseline, as the original report proposes
HIERARCHY = "hierarchy as wide"
FACTORS = (2, 4, 8)  # at one size, beside the one that is chosen
SHARES = (16, 8, 4, 2, 1)  # of the longest sequence
MIDDLE = 4  # the longest sequence over the one at which all factors are timed
NARROW = 4  # the wider models' channels over the narrower ones'
CLASSES = 10
AT = ", r = "  # between a form and its factor


@dataclass(frozen=True, kw_only=True)
class Settings(base.Settings):
    """Sizes of what is timed.

    r         downsampling factor at all sizes
    longest   tokens of the longest sequence
    width     channels D of the wider models
    layers    blocks of a model
    every     whether all lengths are timed, or none below the one at which all factors are
    """

    r: int = 8
    longest: int
    width: int
    layers: int
    every: bool = True


Variants = dict[str, mrss.MrssConfig]


def least_elements(settings: Settings) -> int:
    """Numbers that a run holds: activations of a training step on the longest sequence, and seven models' weights.

    Of the wider models: 40 activations of T x D a block in the form with most of them, the hierarchy as wide, and 6 D^2
    weights in a block's two largest matrices.
    """
    block = 40 * settings.longest * settings.width + 7 * 6 * settings.width**2
    return settings.layers * block


def check(settings: Settings) -> None:
    """Accept settings that can be run here.

    raises   ValueError, naming what decides it, for more memory than is free, and for a factor at which no width gives
             the same number of parameters
    """
    check_memory(settings, least_elements(settings), "layers", "longest", "width")
    for dim in _widths(settings):
        try:
            _variants(MambaConfig(dim=dim, layers=settings.layers), settings.r)
        except ValueError as error:
            sizes = f"`width` {settings.width} and `layers` {settings.layers}"
            raise ValueError(f"`r` is {settings.r}: with {sizes}, {error}; lower it") from None


def label(form: str, factor: int) -> str:
    """The name of a form at a factor in records, tables and figures."""
    return f"{form}{AT}{factor}"


def run(settings: Settings, only: Mapping[str, Collection] = MappingProxyType({})) -> Record:
    """Time the baseline and every variant at every size.

    only     dim or length -> values: sizes with others are left out
    raises   ValueError, before anything is timed, for a factor at which no width gives the same number of parameters
    """
    check(settings)
    cases = base.Cases(PARTS)
    generator = settings.generator()
    for dim, length, variants in list(_grid(settings)):
        if not among(only, dim=dim, length=length):
            continue
        models = {
            name: mrss.spend(mrss.model(config, 1, CLASSES, generator=generator)) for name, config in variants.items()
        }
        x = torch.randn(1, length, 1, generator=generator).to(settings.device, settings.torch_dtype)
        models = {name: model.to(x) for name, model in models.items()}
        measured = passes(models, x, uncounted=mixers.uncounted, **settings.timing)
        at = dict(batch=1, length=length, dim=dim, input_bytes=x.nbytes)
        for part, name in product(measured, variants):
            form, _, factor = name.partition(AT)
            model = dict(form=form, factor=int(factor) if factor else None, parameters=mrss.parameters(variants[name]))
            cases.add(part, name, measured[part][name], parameters={**at, **model})
    return base.record(NAME, cases, settings)


def _grid(settings: Settings) -> Iterator[tuple[int, int, Variants]]:
    """Width, length and variants of each setting."""
    for dim in _widths(settings):
        sizes = MambaConfig(dim=dim, layers=settings.layers)
        chosen = _variants(sizes, settings.r)
        for share in (share for share in SHARES if settings.every or share <= MIDDLE):
            variants = chosen
            if (dim, share) == (settings.width, MIDDLE):
                for factor in FACTORS:
                    variants = variants | _variants(sizes, factor)
            yield dim, settings.longest // share, variants


def _widths(settings: Settings) -> tuple[int, int]:
    return settings.width // NARROW, settings.width


@cache  # a search that makes every mixer some twenty times
def _variants(sizes: MambaConfig, factor: int) -> Variants:
    return mrss.family(sizes, factor) | mrss.proposed(sizes, factor)


def frame(found: Iterable[Record]) -> pd.DataFrame:
    """One row per case of these records, see `lib.experiments.base.frame`."""
    return base.frame(found, PARTS)


def main() -> None:
    """Run this experiment from the command line, see `lib.experiments.command.main`."""
    command.main(__doc__, CHAPTER, Settings, run, frame)


if __name__ == "__main__":
    main()
