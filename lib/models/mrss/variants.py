"""Multi-resolution selective scanning: Mamba models of which a part runs on a slower clock.

One configuration names a variant and its factor r. With a factor of 1, every variant is the baseline: a Mamba of
one resolution. All variants are causal, and each runs token by token, too (`step`).
Symbols: `lib/__init__.py`. Equations: the chapter on multi-resolution scanning.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import nn

from lib.models.checks import check_choice, check_count, check_counts, check_number
from lib.models.mrss.dual_branch import DualBranch as DualBranch
from lib.models.mrss.dynamic import Dynamic as Dynamic
from lib.models.mrss.dynamic import balance as balance
from lib.models.mrss.dynamic import spend as spend
from lib.models.mrss.low_rate import LowRate as LowRate
from lib.models.ssm.mamba import MambaBlock, MambaClassifier, MambaConfig

VARIANTS = ("single", "dual", "low", "hybrid", "dynamic")
NEAR = 0.03  # of the baseline's number of parameters, up or down, is as many


@dataclass(frozen=True)
class MrssConfig:
    """A variant, and the sizes of its Mamba blocks.

    mamba     sizes; `layers` is the number of blocks in all, whatever their rates
    variant   "single": the baseline. "dual": every block has a slower one beside it, or several (`DualBranch`).
              "low": all blocks at T / r (`LowRate`). "hybrid": `full` blocks at full rate before those at T / r.
              "dynamic": `full` blocks at full rate on chunks that a router chooses (`Dynamic`)
    factor    r >= 1; for "dual" also several, as (2, 4, 8)
    full      blocks at full rate, below `layers`; None for half of them
    budget    largest share of chunks that "dynamic" computes at full rate
    raises    ValueError, quoting the value and what is allowed
    """

    mamba: MambaConfig
    variant: str = "single"
    factor: int | tuple[int, ...] = 1
    full: int | None = None
    budget: float = 0.5

    def __post_init__(self):
        check_choice("variant", self.variant, VARIANTS)
        if isinstance(self.factor, tuple):
            check_counts("factor", self.factor)
        else:
            check_count("factor", self.factor)
        if isinstance(self.factor, tuple) and self.variant != "dual":
            raise ValueError(f"factor = {self.factor}: {self.variant!r} takes one integer, only 'dual' takes several")
        check_count("full", self.full, 0, also=(None,))
        if self.variant in ("hybrid", "dynamic") and self.factors != (1,) and not 1 <= self.at_full < self.mamba.layers:
            raise ValueError(
                f"full = {self.full}, layers = {self.mamba.layers}: {self.variant!r} needs one block of each rate"
            )
        check_number("budget", self.budget, above=0, most=1)

    @property
    def factors(self) -> tuple[int, ...]:
        return self.factor if isinstance(self.factor, tuple) else (self.factor,)

    @property
    def at_full(self) -> int:
        """Blocks of "hybrid" and "dynamic" at the full rate."""
        return self.mamba.layers // 2 if self.full is None else self.full


def family(sizes: MambaConfig, factor: int) -> dict[str, MrssConfig]:
    """The baseline and every variant at one factor, as wide as makes their weights as many, by the names of figures."""
    named = {"baseline": MrssConfig(sizes)}
    for variant in VARIANTS[1:]:
        named[f"{variant}, r = {factor}"] = matched(MrssConfig(sizes, variant, factor))
    return named


def proposed(sizes: MambaConfig, factor: int) -> dict[str, MrssConfig]:
    """What the seed report proposes, as wide as the baseline, and so with more weights: one slow branch, and three."""
    return {
        f"dual as wide, r = {factor}": MrssConfig(sizes, "dual", factor),
        "hierarchy as wide": MrssConfig(sizes, "dual", (2, 4, 8)),
    }


def model(
    config: MrssConfig,
    inputs: int | None,
    classes: int,
    *,
    pooling: str = "mean",
    generator: torch.Generator | None = None,
) -> MambaClassifier:
    """A Mamba from tokens or features to classes, with the mixers of a variant; arguments as `MambaClassifier`'s."""
    blocks = mixers(config, generator=generator)
    return MambaClassifier(config.mamba, inputs, classes, pooling=pooling, mixers=blocks, generator=generator)


def mixers(config: MrssConfig, *, generator: torch.Generator | None = None) -> Iterator[nn.Module]:
    """The mixers of a variant, first to last; with a factor of 1, those of the baseline."""
    sizes, (factor, *_) = config.mamba, config.factors
    if set(config.factors) == {1} or config.variant == "single":
        yield from (MambaBlock(sizes, generator=generator) for _ in range(sizes.layers))
    elif config.variant == "dual":
        yield from (DualBranch(sizes, config.factors, generator=generator) for _ in range(sizes.layers))
    elif config.variant == "low":
        yield LowRate(sizes, factor, sizes.layers, generator=generator)
    elif config.variant == "hybrid":
        yield from (MambaBlock(sizes, generator=generator) for _ in range(config.at_full))
        yield LowRate(sizes, factor, sizes.layers - config.at_full, generator=generator)
    else:
        slow = sizes.layers - config.at_full
        yield Dynamic(sizes, factor, slow, config.at_full, config.budget, generator=generator)


def parameters(config: MrssConfig) -> int:
    """Number of weights of a variant's mixers."""
    made = mixers(config, generator=torch.Generator())
    return sum(weight.numel() for mixer in made for weight in mixer.parameters())


def matched(config: MrssConfig) -> MrssConfig:
    """The config at a width where its mixers have as many parameters as the baseline's, within 3 %.

    Where one channel more or less is too coarse, up to three states N more or less, too.
    raises   ValueError, naming the nearest, where nothing comes that close
    """
    wanted = parameters(replace(config, variant="single"))
    low, high = 1, 2 * config.mamba.dim
    while low < high:  # the first width with as many: their number grows with it
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
