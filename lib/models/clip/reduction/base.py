"""Fewer visual tokens in a vision tower of transformers, without training.

`reduce_tokens(model, method, keep=...)` returns a module with the model's own call and output. Symbols:
`lib/__init__.py`. Sources: merging, Bolya et al. (2023), https://arxiv.org/abs/2210.09461; class attention, Liang et
al. (2022), https://arxiv.org/abs/2202.07800; merging in rounds and the adaptive budget are ours.
"""

import copy
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor, nn
from transformers.modeling_outputs import BaseModelOutputWithPooling

from lib.models.clip import merge_schedules as schedules
from lib.models.clip.merge import match, merged, merged_in_rounds
from lib.models.clip.original_pruning import SeedPruning
from lib.models.clip.tokens import Tokens
from lib.models.clip.tower import Tower, attend, class_row

METHODS = {
    "seed": "the seed report's pruning to the letter",
    "norm": "the patches of largest L2 norm, chosen before the first layer",
    "random": "patches drawn at random, the same for all images",
    "class_attention": "the patches that the class token attends to most, inside of one layer",
    "adaptive": "as few of those as hold a share of its attention; each image has its own number",
    "merge": "similar tokens become one, layer by layer, matched by their keys",
    "merge_then_prune": "half of what goes merges in early layers, then the class token chooses",
    "merge_in_rounds": "similar tokens become one, before the first layer and inside of the others, matched by their "
    "features, in rounds",
}
CLASS = ("class_attention", "adaptive", "merge_then_prune")  # ask the class token
CHOOSING = ("norm", "random", "class_attention")  # leave patches out, the same number of every image


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
        summary: bool,
        seed: int,
    ):
        super().__init__()
        self.model, self.config = model, model.config
        self.method, self.keep, self.schedule, self.layer = method, keep, schedule, layer
        self.class_row_only, self.summary, self.seed = class_row_only, summary, seed
        self.slicing = False

    def sliced(self) -> "Reduced":
        """As many tokens at the same places, but the first ones each time: what it would cost to reduce for nothing."""
        other = copy.copy(self)
        other.slicing = True
        return other

    def forward(
        self, pixel_values: Float[Tensor, "B C H W"], interpolate_pos_encoding: bool = False, **_
    ) -> BaseModelOutputWithPooling:
        return self.traced(pixel_values, interpolate_pos_encoding)[0]

    def traced(
        self, pixel_values: Float[Tensor, "B C H W"], interpolate_pos_encoding: bool = False
    ) -> tuple[BaseModelOutputWithPooling, Tokens]:
        """The output, and the last layer's tokens: which patch each of them holds, which are gone.

        raises   ValueError for pixels that are no images of this tower, empty or not finite
        """
        tower = Tower.of(self.model)
        tower.check(pixel_values)
        tokens = Tokens.of(tower.embed(pixel_values, interpolate_pos_encoding), tower.classes)
        first, merging, choosing = self.planned(tokens.count)
        if self.method in ("norm", "random") and choosing < tokens.count:
            tokens = self._chosen(tokens, choosing, partial(self._scores, tokens))
        if first:
            tokens = self._merged(tokens, first)
        for number, merged_here in enumerate(merging):
            chosen = choosing if self.method in CLASS and number == self.layer else None
            tokens = self._through(tower.layers[number], tokens, merged_here, chosen)
        x = class_alone(tower.layers[-1], tokens) if self.class_row_only else tokens.x
        return tower.finish(x), tokens

    def planned(self, patches: int) -> tuple[int, list[int], int]:
        """Of an image of so many patches: how many merge before the first layer, how many inside of each that is
        computed whole, and how many are left where some are chosen."""
        layers = len(Tower.of(self.model).layers) - self.class_row_only
        merging, first = [0] * layers, 0
        if self.method == "merge":
            merging = schedules.merges(self.schedule, patches, layers, self.keep)
        elif self.method == "merge_in_rounds":
            first, *merging = schedules.merges(self.schedule, patches, layers + 1, self.keep, True)
        elif self.method == "merge_then_prune":
            share = (1 + self.keep) / 2
            merging[: self.layer] = schedules.merges(self.schedule, patches, self.layer, share)
        return first, merging, schedules.kept(self.keep, patches)

    def seen(self, patches: int, chosen: int | None = None) -> list[tuple[int, int]]:
        """For `lib.models.clip.cost`: tokens in each layer's attention, and in its MLP, of an image of so many patches.

        chosen   how many the class token chose of this image; needed for `adaptive` alone
        raises   ValueError for `adaptive` without it
        """
        first, merging, choosing = self.planned(patches)
        if self.method == "adaptive":
            if chosen is None:
                raise ValueError("chosen = None: with method = 'adaptive' every image has its own number of tokens")
            choosing = chosen
        classes, counts = Tower.of(self.model).classes, []
        left = choosing + (self.summary and choosing < patches) if self.method in ("norm", "random") else patches
        left -= first
        for number, merged_here in enumerate(merging):
            before = left
            if self.method in CLASS and number == self.layer and choosing < patches:
                left = choosing + self.summary
            left -= merged_here
            counts.append((before + classes, left + classes))
        return counts + [(left + classes, 1)] * self.class_row_only

    def _through(self, layer: nn.Module, tokens: Tokens, merging: int, choosing: int | None) -> Tokens:
        """Tokens after one layer; between attention and MLP some of them go."""
        if self.keep == 1 or choosing == tokens.count:
            choosing = None
        if not merging and choosing is None and tokens.single:
            return replace(tokens, x=layer(tokens.x, None))
        out, query, key = attend(layer.self_attn, layer.layer_norm1(tokens.x), tokens.weights)
        tokens = replace(tokens, x=tokens.x + out)
        if choosing is not None:
            tokens = self._chosen(tokens, choosing, partial(self._attended, layer, query, key, tokens))
        elif merging:
            tokens = self._merged(tokens, merging, key)
        return replace(tokens, x=tokens.x + layer.mlp(layer.layer_norm2(tokens.x)))

    def _chosen(self, tokens: Tokens, count: int, score: Callable[[], Float[Tensor, "B P"]]) -> Tokens:
        """Those of the highest score."""
        if self.slicing:
            return tokens.sliced(count + self.summary)
        scores = score()
        if self.method == "adaptive":
            return self._by_share(tokens, scores)
        chosen = scores.topk(count, dim=1).indices
        return tokens.summarised(chosen) if self.summary else tokens.kept(chosen)

    def _merged(self, tokens: Tokens, count: int, key: Float[Tensor, "B heads S dim"] | None = None) -> Tokens:
        """Fewer by so many, matched by the method's own features or by the keys."""
        if self.slicing:
            return replace(tokens.sliced(tokens.count - count), single=False)
        if self.method == "merge_in_rounds":
            return merged_in_rounds(tokens, count)
        return merged(tokens, *match(key.mean(1), count, tokens.classes))

    def _by_share(self, tokens: Tokens, scores: Float[Tensor, "B P"]) -> Tokens:
        """The fewest patches of each image that hold a share of its scores; those of other images fill up."""
        values, order = scores.sort(dim=1, descending=True)
        held = values.cumsum(1) - values  # by those before
        valid = held < self.keep * values.sum(1, keepdim=True)
        most = int(valid.sum(1).max())
        return tokens.kept(order[:, :most], valid[:, :most])

    def _attended(self, layer: nn.Module, query: Tensor, key: Tensor, tokens: Tokens) -> Float[Tensor, "B P"]:
        return class_row(layer.self_attn, query, key, tokens.weights)[:, tokens.classes :]

    def _scores(self, tokens: Tokens) -> Float[Tensor, "B P"]:
        x = tokens.x[:, tokens.classes :]
        if self.method == "norm":
            return x.norm(dim=-1)
        # One pattern for all images, so that what is kept of one does not depend on its neighbours in the batch.
        generator = torch.Generator().manual_seed(self.seed)
        return torch.rand(x.shape[1], generator=generator).to(x.device).expand(len(x), -1)


def class_alone(layer: nn.Module, tokens: Tokens) -> Float[Tensor, "B 1 D"]:
    """The class token after a layer: all that is read of the last one, at a fraction of its cost."""
    out, _, _ = attend(layer.self_attn, layer.layer_norm1(tokens.x), tokens.weights, queries=1)
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
    summary: bool = False,
    seed: int = 0,
) -> nn.Module:
    """A vision tower with fewer tokens, for the model's place: its call, its output, its weights.

    model           a vision tower of transformers: CLIP's, SigLIP's
    method          one of METHODS
    keep            share of the patches' tokens that is left at the end, of `adaptive` the share of the class token's
                    attention; with all, the output is the model's to the last bit, for every method but `seed`
    schedule        of what merges: "constant", "decreasing", "front", or numbers, one per place: inside of the layers,
                    and for `merge_in_rounds` one more, before the first of them
    layer           inside of which the class token chooses; where left out the second, or, after merging, the middle
    class_row_only  of the last layer, which then takes nothing away, the class token alone is computed
    summary         patches that are left out, by a choice of a fixed number, leave their mean behind as a token
    seed            of the random choice
    raises          ValueError, quoting it, for an unknown method, for a value out of range, and for what asks a class
                    token of a tower that has none; TypeError for a model of other parts, and for a reduced one
    """
    if isinstance(model, Reduced | SeedPruning):
        raise TypeError(f"{type(model).__name__}: reduced already; `.model` is the tower that it was made of")
    tower = Tower.of(model)
    if method not in METHODS:
        raise ValueError(f"method = {method!r}: one of {', '.join(METHODS)} is needed")
    if summary and method not in CHOOSING:
        raise ValueError(
            f"summary: method = {method!r} leaves out no fixed number of patches; {', '.join(CHOOSING)} do"
        )
    if method == "seed":
        return SeedPruning(model, keep)
    if (method in CLASS or class_row_only) and not tower.classes:
        what = f"method = {method!r}" if method in CLASS else "class_row_only"
        raise ValueError(f"{what}: {type(model).__name__} has no class token")
    layers = len(tower.layers) - class_row_only
    layer = layer if layer is not None else layers // 2 if method == "merge_then_prune" else min(1, layers - 1)
    if not 0 <= layer < layers:
        raise ValueError(f"layer = {layer}: 0 to {layers - 1} is needed")
    reduced = Reduced(model, method, keep, schedule, layer, class_row_only, summary, seed)
    reduced.planned(tower.model.embeddings.num_patches)  # what cannot be is said at once
    return reduced
