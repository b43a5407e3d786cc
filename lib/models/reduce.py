"""Fewer visual tokens in a vision tower of transformers, without training.

`reduce_tokens(model, method, keep=...)` returns a module with the model's own call and output. Symbols:
`lib/__init__.py`. Sources: merging, Bolya et al. (2023), https://arxiv.org/abs/2210.09461; class attention, Liang et
al. (2022), https://arxiv.org/abs/2202.07800.
"""

from collections.abc import Sequence
from dataclasses import replace

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from transformers.modeling_outputs import BaseModelOutputWithPooling

from lib.models import schedules
from lib.models.merge import match, merged
from lib.models.tokens import Tokens
from lib.models.tower import Tower, attend, class_row

METHODS = ("norm", "random", "class_attention", "merge", "merge_then_prune")
CLASS = ("class_attention", "merge_then_prune")  # methods that ask the class token
MERGING = ("merge", "merge_then_prune")


class Reduced(nn.Module):
    """A vision tower that takes tokens away on the way: made by `reduce_tokens`.

    Its call and its output are the model's. `last_hidden_state` holds the tokens that are left, or, with
    `class_row_only`, the class token alone; `pooler_output` is as ever.
    """

    def __init__(
        self,
        model: nn.Module,
        method: str,
        keep: float,
        schedule: str | Sequence[int],
        layer: int,
        class_row_only: bool,
        seed: int,
    ):
        super().__init__()
        self.model, self.config = model, model.config
        self.method, self.keep, self.schedule, self.layer = method, keep, schedule, layer
        self.class_row_only, self.seed = class_row_only, seed

    def forward(
        self, pixel_values: Float[Tensor, "B C H W"], interpolate_pos_encoding: bool = False, **_
    ) -> BaseModelOutputWithPooling:
        return self.traced(pixel_values, interpolate_pos_encoding)[0]

    def traced(
        self, pixel_values: Float[Tensor, "B C H W"], interpolate_pos_encoding: bool = False
    ) -> tuple[BaseModelOutputWithPooling, Int[Tensor, "B P"]]:
        """The output, and of every patch the number of the last layer's token that holds it, or GONE."""
        tower = Tower.of(self.model)
        tokens = Tokens.of(tower.embed(pixel_values, interpolate_pos_encoding), tower.classes)
        merging, keeping = self.planned(tokens.count)
        if self.method in ("norm", "random"):
            tokens = tokens.kept(self._scores(tokens).topk(keeping, dim=1).indices)
        whole = len(tower.layers) - self.class_row_only
        for number, layer in enumerate(tower.layers[:whole]):
            choosing = keeping if self.method in CLASS and number == self.layer else None
            tokens = through(layer, tokens, merging[number], choosing)
        x = class_alone(tower.layers[-1], tokens) if self.class_row_only else tokens.x
        return tower.finish(x), tokens.places

    def planned(self, patches: int) -> tuple[list[int], int]:
        """Of an image of so many patches: how many each layer merges, and how many are left in the end."""
        layers = len(Tower.of(self.model).layers) - self.class_row_only
        merging = [0] * layers
        if self.method == "merge":
            merging = schedules.merges(self.schedule, patches, layers, self.keep)
        elif self.method == "merge_then_prune":
            # Half of what goes is merged, in the layers before the class token chooses.
            share = (1 + self.keep) / 2
            merging[: self.layer] = schedules.merges(self.schedule, patches, self.layer, share)
        gone = sum(merging)
        return merging, patches - gone if self.method == "merge" else schedules.kept(self.keep, patches)

    def _scores(self, tokens: Tokens) -> Float[Tensor, "B P"]:
        x = tokens.x[:, tokens.classes :]
        if self.method == "norm":
            return x.norm(dim=-1)
        # Drawn for each image alone, so that it does not depend on its neighbours in the batch.
        generator = torch.Generator().manual_seed(self.seed)
        return torch.rand(x.shape[1], generator=generator).to(x.device).expand(len(x), -1)


def through(layer: nn.Module, tokens: Tokens, merging: int = 0, choosing: int | None = None) -> Tokens:
    """Tokens after one layer of a tower, fewer of them if so wished; between attention and MLP they go.

    merging    so many are merged into others
    choosing   so many patches' tokens stay, those that the class token attends to most
    """
    if not merging and choosing in (None, tokens.count) and tokens.single:
        return replace(tokens, x=layer(tokens.x, None))
    sizes = None if tokens.single else tokens.sizes
    out, query, key = attend(layer.self_attn, layer.layer_norm1(tokens.x), sizes)
    tokens = replace(tokens, x=tokens.x + out)
    if choosing is not None:
        row = class_row(layer.self_attn, query, key, sizes)[:, tokens.classes :]
        tokens = tokens.kept(row.topk(choosing, dim=1).indices)
    elif merging:
        tokens = merged(tokens, *match(key.mean(1), merging, tokens.classes))
    return replace(tokens, x=tokens.x + layer.mlp(layer.layer_norm2(tokens.x)))


def class_alone(layer: nn.Module, tokens: Tokens) -> Float[Tensor, "B 1 D"]:
    """The class token after a layer: all that is read of the last one, at a fraction of its cost."""
    sizes = None if tokens.single else tokens.sizes
    out, _, _ = attend(layer.self_attn, layer.layer_norm1(tokens.x), sizes, queries=1)
    x = tokens.x[:, :1] + out
    return x + layer.mlp(layer.layer_norm2(x))


def reduce_tokens(
    model: nn.Module,
    method: str,
    keep: float = 1.0,
    *,
    schedule: str | Sequence[int] = "decreasing",
    layer: int | None = None,
    class_row_only: bool = False,
    seed: int = 0,
) -> nn.Module:
    """A vision tower with fewer tokens, for the model's place: its call, its output, its weights.

    model           a vision tower of transformers: CLIP's, SigLIP's
    method          one of METHODS. `norm` and `random` choose before the first layer, `class_attention` inside of one
    keep            share of the patches' tokens that is left at the end; with all, the output is the model's to the bit
    schedule        of what merges: "constant", "decreasing", "front", or numbers, one per layer
    layer           inside of which the class token chooses; where left out the second, or, after merging, the middle
    class_row_only  of the last layer, which then takes nothing away, the class token alone is computed
    seed            of the random choice
    raises          ValueError, quoting it, for an unknown method, for a value out of range, and for what asks a class
                    token of a tower that has none; TypeError for a model of other parts
    """
    tower = Tower.of(model)
    if method not in METHODS:
        raise ValueError(f"method = {method!r}: one of {', '.join(METHODS)} is needed")
    if (method in CLASS or class_row_only) and not tower.classes:
        what = f"method = {method!r}" if method in CLASS else "class_row_only"
        raise ValueError(f"{what}: {type(model).__name__} has no class token")
    layers = len(tower.layers)
    layer = layer if layer is not None else min(1, layers - 1) if method == "class_attention" else layers // 2
    if not 0 <= layer < layers:
        raise ValueError(f"layer = {layer}: 0 to {layers - 1} is needed")
    reduced = Reduced(model, method, keep, schedule, layer, class_row_only, seed)
    reduced.planned(tower.model.embeddings.num_patches)  # what cannot be is said at once
    return reduced
