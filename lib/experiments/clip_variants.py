"""Token reductions as they are compared: every row of `lib.names.REDUCTIONS`, laid on one scale of operations.

A row appears by its label with its default options; SPECIAL adds forms with options of their own.
"""

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from lib import names
from lib.models.checks import check_number
from lib.models.clip import cost as vit_cost
from lib.models.clip.reduction import Reduced, Reduction, kind, reduce_tokens
from lib.models.clip.reduction.original import DEFECTS, OriginalPruning

KEEPS = (0.9, 0.7, 0.5, 0.3)  # the original report's, and one less
RATIOS = (0.6, 0.5, 0.45, 0.4, 0.35, 0.3, 0.25)  # of the unreduced tower's operations
SHARE = 0.45  # of RATIOS: at which all methods are timed at the size of a model that people use
MASSES = (0.95, 0.9, 0.8, 0.7)  # shares of the class token's attention, for a budget per image

UNREDUCED = "unreduced"
SLICED = ", sliced"  # ends the label of a tower that takes the first tokens in place of the right ones
ORIGINAL, NORM, RANDOM, CLASS_ATTENTION, ADAPTIVE, TOME, ROUNDS = (
    names.REDUCTIONS[name].label
    for name in ("original", "norm", "random", "class_attention", "adaptive", "merge", "merge_in_rounds")
)
SUMMARY, TOME_CONSTANT = "L2 norm, summary", "ToMe, constant"
SPECIAL = {  # method -> label -> options
    "norm": {SUMMARY: {"summary": True}},
    "merge": {TOME_CONSTANT: {"schedule": "constant"}},
}
AS_CODED = "forms of the original code"  # with all patches kept:
MENDED, SWAPPED = "original code, all defects mended", "original code, axes of section 5.3"
LAST = {"class_row_only": True}  # exact, and the same for all, so that only the reduction differs
OLD = {"seed's code": ORIGINAL, "untouched": UNREDUCED}  # words of recorded files


@dataclass(frozen=True)
class Variant:
    """A method with its options.

    name     as readers see it
    method   of `lib.names.REDUCTIONS`
    """

    name: str
    method: str
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def made(self) -> type[Reduction]:
        """The class of its method."""
        return kind(self.method)

    @property
    def per_image(self) -> bool:
        """Whether every image keeps its own number of tokens, so that operations are known afterwards alone."""
        return self.made.per_image

    @property
    def by_share(self) -> bool:
        """Whether it is compared at equal shares of the patches, too: it leaves out the same number of every image."""
        return self.made.summarises


def variants() -> list[Variant]:
    """All that is compared, in the order of the table, but for the original report's code, which knows no options."""
    return [
        Variant(label, method, {**LAST, **options})
        for method, row in names.REDUCTIONS.items()
        if row.label != ORIGINAL
        for label, options in {row.label: {}, **SPECIAL.get(method, {})}.items()
    ]


def cost(tower: nn.Module, reduced: Reduction, chosen: int | None = None, side: int | None = None) -> float:
    """Operations of a reduced tower relative to those of the unreduced one, on paper.

    chosen   patches that an image keeps, for a method with a number per image
    side     pixels of the image; the tower's own where left out
    """
    patches = vit_cost.patches(tower.config, side)
    whole = sum(vit_cost.vision_flops(tower.config, side=side).values())
    seen = reduced.seen(patches, chosen)
    return sum(vit_cost.vision_flops(tower.config, seen, side, reduced.class_row_only).values()) / whole


@torch.inference_mode()
def mean_cost(tower: nn.Module, reduced: Reduction, pixels: Tensor, batch: int = 250) -> float:
    """Operations relative to the unreduced tower's, averaged over images where each keeps its own number of patches."""
    if not (isinstance(reduced, Reduced) and reduced.per_image):
        return cost(tower, reduced)
    counts = [(reduced.traced(part)[1].sizes > 0).sum(1) - 1 for part in pixels.split(batch)]
    found = [cost(tower, reduced, count) for part in counts for count in part.tolist()]
    return sum(found) / len(found)


def at_ratio(tower: nn.Module, method: str, target: float, side: int | None = None, **options) -> Reduced:
    """A tower reduced as little as a share of the unreduced one's operations allows.

    Found by halving: more patches cost more, and tokens run out, by a schedule, where few patches are to stay.

    raises   ValueError, quoting it, where no number of tokens is few enough, and for a method that keeps another number
             of patches of every image
    """
    check_number("target", target, above=0)
    if reduce_tokens(tower, method, **options).per_image:  # what is wrong with method or options is said as it is
        raise ValueError(f"method = {method!r}: keeps another number of patches of every image, see `mean_cost`")
    patches = vit_cost.patches(tower.config, side)

    def reduced(count: int) -> tuple[Reduced, float] | None:
        try:
            made = reduce_tokens(tower, method, count / patches, **options)
            return made, cost(tower, made, side=side)
        except ValueError:  # tokens run out
            return None

    def too_many(count: int) -> bool:
        made = reduced(count)
        return made is not None and made[1] > target

    most = bisect_left(range(1, patches + 1), True, key=too_many)
    if not most or not (made := reduced(most)):
        raise ValueError(f"target = {target}: {method} does not get there")
    return made[0]


def towers(tower: nn.Module, targets: Sequence[float] = RATIOS) -> Iterator[tuple[str, float, Reduced]]:
    """Every variant at every share of the operations that it gets to: its name, the share, the tower."""
    for variant in variants():
        for target in () if variant.per_image else targets:
            try:
                yield variant.name, target, at_ratio(tower, variant.method, target, **variant.options)
            except ValueError:  # an empty place in the table
                continue


def settings(tower: nn.Module) -> Iterator[tuple[str, float | None, Reduction]]:
    """All that is compared: the original code, choices by the share of patches kept, and `towers`."""
    for keep in (1.0, *KEEPS):
        yield ORIGINAL, None, reduce_tokens(tower, "original", keep)
    for variant in variants():
        for keep in MASSES if variant.per_image else KEEPS if variant.by_share else ():
            yield variant.name, None, reduce_tokens(tower, variant.method, keep, **variant.options)
    yield from towers(tower)


def as_coded(tower: nn.Module) -> Iterator[tuple[str, None, Reduction]]:
    """Forms of the original report's code with all patches kept, beside the one that `settings` has."""
    yield MENDED, None, OriginalPruning(tower, 1.0, DEFECTS)
    yield SWAPPED, None, OriginalPruning(tower, 1.0, ())
