"""A Vision Mamba tower that goes on with fewer patches, in the scan's order. Symbols: `lib/__init__.py`; P patches."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from transformers.modeling_outputs import BaseModelOutputWithPooling

from lib import names
from lib.models.checks import check_choice, check_count, check_kind, check_number
from lib.models.ssm_vlm.block import VisionMambaBlock
from lib.models.ssm_vlm.fewer.base import Seen, joined
from lib.models.ssm_vlm.orders import BOTH_WAYS
from lib.models.ssm_vlm.tower import VisionTower
from lib.models.tables import Functions

FEWER = Functions("SCAN_REDUCTIONS")


class ReducedTower(nn.Module):
    """A tower with the same weights, and fewer patches from some block on.

    tower    whose blocks scan forward and backward, and do nothing else
    method   one of `lib.names.SCAN_REDUCTIONS`
    keep     share of the patches that the last block reads, in (0, 1]; at 1 the tower's own features, bit by bit
    before   numbers of the blocks before which patches go, an equal share each time; where left out, the middle one
    longer   whether the steps of a merged patch are as many times as long as it has parts
    seed     of what is drawn by lot
    raises   TypeError for another module than a `VisionTower`, and for blocks that are no list; ValueError, quoting it,
             for a tower with other blocks, another method, share or seed, and for blocks that are not there
    """

    def __init__(
        self,
        tower: VisionTower,
        method: str,
        keep: float,
        *,
        before: Sequence[int] | None = None,
        longer: bool = True,
        seed: int = 0,
    ):
        super().__init__()
        check_kind("tower", tower, VisionTower)
        check_choice("method", method, names.SCAN_REDUCTIONS)
        check_number("keep", keep, above=0, most=1)
        mixers = [layer["mixer"] for layer in tower.layers]
        for mixer in mixers:
            if type(mixer) is not VisionMambaBlock or not {*mixer.orders} <= {*BOTH_WAYS}:
                said = "only blocks that scan forward and backward go on with patches that make no grid"
                raise ValueError(f"tower of {tower.kind!r} has a {type(mixer).__name__}: {said}")
        before = (len(mixers) // 2,) if before is None else before
        check_kind("before", before, (tuple, list), "list of numbers of blocks")
        for number in before:
            check_count("before", number, 0, len(mixers) - 1)
        if not before or sorted({*before}) != [*before]:
            raise ValueError(f"before = {before}: one or more blocks, each once and in order, are needed")
        check_count("seed", seed, 0)
        self.tower, self.method, self.keep = tower, method, keep
        self.before, self.longer, self.seed = tuple(before), longer, seed
        self.config = tower.config

    def counts(self) -> list[int]:
        """Patches that are left after each reduction: the last has `keep` of all, at least one."""
        patches, times = len(self.tower.positions), len(self.before)
        return [max(1, round(patches * self.keep ** (number / times))) for number in range(1, times + 1)]

    def forward(self, pixel_values: Float[Tensor, "B C S S"], **options: object) -> BaseModelOutputWithPooling:
        """Features of the patches that are left, and of the image: their mean, each by the patches it stands for."""
        x = self.tower.embedded(pixel_values, options)
        sizes = torch.ones(x.shape[:2], dtype=x.dtype, device=x.device)
        counts, generator = dict(zip(self.before, self.counts(), strict=True)), torch.Generator().manual_seed(self.seed)
        for number, layer in enumerate(self.tower.layers):
            norm, mixer = layer["norm"], layer["mixer"]
            if (count := counts.get(number, x.shape[1])) < x.shape[1]:
                y, row = norm(x), (1, x.shape[1])
                seen = Seen(y, lambda mixer=mixer, y=y, row=row: mixer.step_sizes(y, row), generator)
                x, sizes = joined(x, sizes, FEWER[self.method](seen, count), count)
            whole = x.shape[1] == len(self.tower.positions)
            scaled = None if whole or not self.longer else sizes
            x = x + mixer(norm(x), (1, x.shape[1]), scaled)
        pooled = x.mean(1) if whole else (x * sizes[..., None]).sum(1) / sizes.sum(1, keepdim=True)
        return self.tower.finished(x, pooled)
