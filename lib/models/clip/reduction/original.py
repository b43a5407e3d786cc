"""The original report's token pruning to the letter, for the record, and its defects, which can be mended one by one.

To prune a tower of your own, use another method. Symbols: `lib/__init__.py`.
"""

from collections.abc import Collection

import torch
from jaxtyping import Float
from torch import Tensor, nn
from transformers.modeling_outputs import BaseModelOutputWithPooling

from lib.models.checks import check_choice, check_number
from lib.models.clip.reduction.base import Options, Reduction
from lib.models.clip.tokens import take, wide
from lib.models.clip.tower.record import Record

DEFECTS = {
    "axes": "attention runs over the images of a batch, not over the tokens of an image",
    "class_token": "the mean of all patches stands where the class token belongs",
    "positions": "tokens do not know where they come from",
    "pre_layernorm": "the first layer norm is left out",
    "post_layernorm": "the last layer norm is left out",
}


class OriginalPruning(Reduction):
    """A CLIP vision tower with patches of large L2 norm alone, as the original report's pseudocode has it.

    keep      share of the patches; of so many the whole part is kept, the longest first
    mended    of DEFECTS; with all of them mended, and all patches kept, it is the tower itself
    raises    TypeError for a tower of other parts; ValueError, quoting it, for a share out of range or another defect
    source    sections 4.1 and 5.3 of the original report's part B; `axes` are those of section 5.3
    """

    exact = False

    def __init__(self, model: nn.Module, keep: float = 1.0, mended: Collection[str] = ("axes",)):
        super().__init__(model)
        if not (self.tower.classes and hasattr(model, "pre_layrnorm")):
            raise TypeError(f"{type(model).__name__}: the original report prunes CLIP, with a class token")
        for one in mended:
            check_choice("mended", one, DEFECTS)
        check_number("keep", keep, above=0, most=1)
        self.keep, self.mended = keep, frozenset(mended)

    @classmethod
    def of(cls, model: nn.Module, method: str, options: Options) -> "OriginalPruning":
        """The report's own form, axes mended; of the options it knows `keep` alone.

        raises   as the class; ValueError, naming it, for an option that would change what a tower of its own gives
        """
        options.check()
        usual = {"layer": None, "dense": False, "tile": 1}
        for name, value in usual.items():
            if getattr(options, name) != value:
                raise ValueError(f"{name}: method = {method!r} knows keep alone")
        return cls(model, options.keep)

    def seen(self, patches: int, chosen: int | None = None) -> list[tuple[int, int]]:
        """Tokens in each layer: the patches kept and the first token, everywhere."""
        return [(1 + self._kept(patches),) * 2] * len(self.tower.layers)

    def recorded(
        self, pixels: Float[Tensor, "B C H W"], interpolate: bool | None, record: Record
    ) -> BaseModelOutputWithPooling:
        """The output that the report's code would give, with the defects that are not mended.

        raises   ValueError for images of another size, unless positions are interpolated
        """
        side, sides = self.config.image_size, tuple(pixels.shape[2:])
        if sides != (side, side) and not interpolate:
            raise ValueError(
                f"images of {sides[0]} x {sides[1]} pixels: {side} x {side} without interpolated positions"
            )
        embeddings, mended = self.embeddings, self.mended
        patches = embeddings.patch_embedding(pixels.to(embeddings.patch_embedding.weight.dtype))
        patches = patches.flatten(2).transpose(1, 2)  # (B, P, D)
        count = self._kept(int(patches.shape[1]))
        longest = wide(patches).norm(dim=-1).topk(count, dim=1).indices.sort(dim=1).values
        if {"positions", "class_token"} & mended:
            positions = embeddings.position_embedding.weight
            if interpolate:
                positions = embeddings.interpolate_pos_encoding(patches, *pixels.shape[-2:])[0]
        first = wide(patches).mean(1, keepdim=True).to(patches.dtype)
        if "class_token" in mended:
            first = (embeddings.class_embedding + positions[:1]).expand(len(patches), 1, -1)
        if "positions" in mended:
            patches = patches + positions[1:]
        x = torch.cat([first, take(patches, longest)], dim=1)
        if "pre_layernorm" in mended:
            x = self.pre_layrnorm(x)
        swapped = "axes" not in mended
        record.state(x)
        for layer in self.tower.layers:
            x = x.transpose(0, 1) if swapped else x
            x = record.through(layer, self.tower.attention(layer), x)
            x = x.transpose(0, 1) if swapped else x
            record.state(x)
        pooled = x[:, 0]
        if "post_layernorm" in mended:
            pooled = self.post_layernorm(pooled)
        output = BaseModelOutputWithPooling(last_hidden_state=x, pooler_output=pooled)
        return record.into(output, lambda state: state)

    def _kept(self, patches: int) -> int:
        return max(1, int(self.keep * patches))


METHOD = OriginalPruning
