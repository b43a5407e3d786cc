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
from lib.models.clip.tokens import take
from lib.models.clip.tower import Tower

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
        super().__init__()
        tower = Tower.of(model)
        if not (tower.classes and hasattr(model, "pre_layrnorm")):
            raise TypeError(f"{type(model).__name__}: the original report prunes CLIP, with a class token")
        for one in mended:
            check_choice("mended", one, DEFECTS)
        check_number("keep", keep, above=0, most=1)
        self.model, self.config = model, model.config
        self.keep, self.mended = keep, frozenset(mended)

    @classmethod
    def of(cls, model: nn.Module, method: str, options: Options) -> "OriginalPruning":
        """The report's own form, axes mended; of the options it knows `keep` alone.

        raises   as the class
        """
        return cls(model, options.keep)

    def seen(self, patches: int, chosen: int | None = None) -> list[tuple[int, int]]:
        """Tokens in each layer: the patches kept and the first token, everywhere."""
        return [(1 + self._kept(patches),) * 2] * len(Tower.of(self.model).layers)

    def forward(
        self, pixel_values: Float[Tensor, "B C H W"], interpolate_pos_encoding: bool = False, **_
    ) -> BaseModelOutputWithPooling:
        """The output that the report's code would give, with the defects that are not mended.

        raises   ValueError for pixels that are no images of this tower, empty or not finite
        """
        Tower.of(self.model).check(pixel_values)
        side, sides = self.config.image_size, tuple(pixel_values.shape[2:])
        if sides != (side, side) and not interpolate_pos_encoding:
            raise ValueError(
                f"images of {sides[0]} x {sides[1]} pixels: {side} x {side} without interpolated positions"
            )
        embeddings, mended = self.model.embeddings, self.mended
        patches = embeddings.patch_embedding(pixel_values.to(embeddings.patch_embedding.weight.dtype))
        patches = patches.flatten(2).transpose(1, 2)  # (B, P, D)
        count = self._kept(patches.shape[1])
        longest = patches.norm(dim=-1).topk(count, dim=1).indices.sort(dim=1).values
        if {"positions", "class_token"} & mended:
            positions = embeddings.position_embedding.weight
            if interpolate_pos_encoding:
                positions = embeddings.interpolate_pos_encoding(patches, *pixel_values.shape[-2:])[0]
        first = patches.mean(1, keepdim=True)
        if "class_token" in mended:
            first = (embeddings.class_embedding + positions[:1]).expand(len(patches), 1, -1)
        if "positions" in mended:
            patches = patches + positions[1:]
        x = torch.cat([first, take(patches, longest)], dim=1)
        if "pre_layernorm" in mended:
            x = self.model.pre_layrnorm(x)
        swapped = "axes" not in mended
        for layer in self.model.encoder.layers:
            x = layer(x.transpose(0, 1), None).transpose(0, 1) if swapped else layer(x, None)
        pooled = x[:, 0]
        if "post_layernorm" in mended:
            pooled = self.model.post_layernorm(pooled)
        return BaseModelOutputWithPooling(last_hidden_state=x, pooler_output=pooled)

    def _kept(self, patches: int) -> int:
        return max(1, int(self.keep * patches))


METHOD = OriginalPruning
