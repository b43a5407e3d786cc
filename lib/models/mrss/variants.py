"""Multi-resolution selective scanning: Mamba models of which a part runs at a lower temporal resolution.

One configuration names a variant and its factor r. With a factor of 1, every variant is the baseline: a Mamba of
one resolution. All variants are causal, and each also runs token by token (`step`).
Symbols: `lib/__init__.py`. Equations: the chapter on multi-resolution scanning.
"""

from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import nn

from lib import names
from lib.models.mrss.config import FORMS
from lib.models.mrss.config import MrssConfig as MrssConfig
from lib.models.mrss.config import variants as variants
from lib.models.mrss.dynamic import balance as balance
from lib.models.mrss.dynamic import spend as spend
from lib.models.mrss.short import ShortClassifier
from lib.models.ssm.mamba import MambaBlock, MambaClassifier, MambaConfig

HIERARCHY = (2, 4, 8)  # factors of the original report's hierarchy
NEAR = 0.03  # of the baseline's number of parameters, up or down, counts as the same


def family(sizes: MambaConfig, factor: int) -> dict[str, MrssConfig]:
    """Configurations to compare at one factor, keyed by figure label; widths are chosen so that parameter counts match.

    raises   ValueError, naming the variant, where no width comes near the baseline's number of parameters
    """
    named = {"baseline": MrssConfig(sizes)}
    for variant in names.family():
        named[f"{variant}, r = {factor}"] = matched(MrssConfig(sizes, variant, factor))
    return named


def proposed(sizes: MambaConfig, factor: int) -> dict[str, MrssConfig]:
    """The original report's two forms at the baseline's width, with more parameters: one low-rate branch, and three."""
    return {
        f"dual as wide, r = {factor}": MrssConfig(sizes, "dual", factor),
        "hierarchy as wide": MrssConfig(sizes, "dual", HIERARCHY),
    }


def compared(sizes: MambaConfig, factor: int) -> dict[str, MrssConfig]:
    """Configurations of all forms at one factor, keyed by label: `family`, `proposed`, controls, and peers from papers.

    Those without the factor, "hierarchy", "hierarchy as wide" and "wrapped", are the same at each. All but those as
    wide have the baseline's number of parameters, as in `family`.
    """
    named = family(sizes, factor) | proposed(sizes, factor)
    named["hierarchy"] = matched(MrssConfig(sizes, "dual", HIERARCHY))
    for variant in names.FORMS:
        if variant in names.family():
            continue
        full = getattr(FORMS[variant], "FULL_RATE", False)
        config = MrssConfig(sizes, variant, 1 if full else factor)
        named[variant if full else f"{variant}, r = {factor}"] = matched(config)
    return named


def stems(sizes: MambaConfig, factor: int) -> dict[str, MrssConfig]:
    """Configurations of all stems at one factor, keyed by label: the baseline's blocks at T / r."""
    return {f"{stem}, r = {factor}": MrssConfig(sizes, stem, factor) for stem in names.STEMS}


def model(
    config: MrssConfig,
    inputs: int | None,
    classes: int,
    *,
    pooling: str = "mean",
    generator: torch.Generator | None = None,
) -> MambaClassifier | ShortClassifier:
    """Make a classifier of tokens or features with the mixers of a variant; arguments as `MambaClassifier`'s.

    raises   ValueError for pooling "none" after a stem
    """
    if config.stem:
        return ShortClassifier(config, inputs, classes, pooling=pooling, generator=generator)
    blocks = mixers(config, generator=generator)
    return MambaClassifier(config.mamba, inputs, classes, pooling=pooling, mixers=blocks, generator=generator)


def mixers(config: MrssConfig, *, generator: torch.Generator | None = None) -> Iterator[nn.Module]:
    """Mixers of a variant, first to last, weights drawn as the iterator is read; with a factor of 1, the baseline's."""
    if config.one_rate:
        yield from (MambaBlock(config.mamba, generator=generator) for _ in range(config.mamba.layers))
    else:
        yield from FORMS[config.variant].mixers(config, generator=generator)


def parameters(config: MrssConfig) -> int:
    """Number of parameters of a variant's mixers."""
    made = mixers(config, generator=torch.Generator())
    return sum(weight.numel() for mixer in made for weight in mixer.parameters())


def matched(config: MrssConfig) -> MrssConfig:
    """The config at a width at which its mixers have the baseline's number of parameters, within 3 %.

    Where one channel more or less is too coarse, also with up to three states N more or less.
    raises   ValueError, naming the nearest, where nothing comes that close
    """
    wanted = parameters(replace(config, variant="single", factor=1))
    low, high = 1, 2 * config.mamba.dim
    while low < high:  # the first width with the baseline's number of parameters or more: it grows with the width
        middle = (low + high) // 2
        low, high = (low, middle) if parameters(_sized(config, middle)) >= wanted else (middle + 1, high)
    near = []
    for more in (0, 1, -1, 2, -2, 3, -3):
        states = config.mamba.states + more
        near += [_sized(config, dim, states) for dim in (low, low - 1) if min(dim, states) >= 1]
        found = min(near, key=lambda sized: abs(parameters(sized) - wanted))
        if abs(parameters(found) / wanted - 1) <= NEAR:
            return found
    raise ValueError(
        f"{config.variant!r}, factor {config.factor}: dim {found.mamba.dim} comes nearest to {wanted} weights, "
        f"with {parameters(found)}; within {NEAR:.0%} is needed"
    )


def _sized(config: MrssConfig, dim: int, states: int | None = None) -> MrssConfig:
    return replace(config, mamba=replace(config.mamba, dim=dim, states=states or config.mamba.states))
