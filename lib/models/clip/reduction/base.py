"""What all token reductions share: a contract, and the walk through a vision tower with cuts on the way.

Tokens can go at 1 + `depth` points: before the first layer, and inside each layer that is computed whole, between its
attention and its MLP. Symbols: `lib/__init__.py`.
"""

import copy
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from jaxtyping import Float
from torch import Tensor, nn
from transformers.modeling_outputs import BaseModelOutputWithPooling as Output

from lib.models.checks import check_choice, check_count, check_kind, check_number
from lib.models.clip.plan import Around, Cut
from lib.models.clip.tokens import Tokens
from lib.models.clip.tower.known import check_unhooked
from lib.models.clip.tower.layers import Attended, through
from lib.models.clip.tower.record import Record
from lib.models.clip.tower.view import View

NEAREST = "nearest"  # how patches that no token holds are filled in

__all__ = ["Attended", "Cut", "Options", "Reduced", "Reduction"]


@dataclass(frozen=True)
class Options:
    """Arguments of `lib.models.clip.reduction.reduce_tokens` besides model and method, under their names there."""

    keep: float
    schedule: str | Sequence[int]
    layer: int | None
    class_row_only: bool
    summary: bool
    seed: int
    dense: bool | str = False
    tile: int = 1

    def check(self) -> None:
        """Accept options that no tower speaks against.

        raises   ValueError or TypeError, quoting it, for another
        """
        check_number("keep", self.keep, above=0, most=1)
        check_count("seed", self.seed, -(2**63), 2**64 - 1)
        check_count("tile", self.tile)
        for name in ("class_row_only", "summary"):
            check_kind(name, getattr(self, name), bool, "True or False")
        check_kind("dense", self.dense, (bool, str), f"True, False or {NEAREST!r}")
        check_choice("dense", self.dense, (True, False, NEAREST))


class Reduction(View):
    """A vision tower with fewer tokens: what every method of `lib.names.REDUCTIONS` defines.

    A class says how it differs from the usual one:

    exact        at keep = 1 the output is the model's to the last bit
    summarises   leaves out the same number of patches of every image, so that their mean can stand for them
    reads_class  needs a class token
    per_image    every image keeps its own number of tokens
    """

    exact, summarises, reads_class, per_image = True, False, False, False
    class_row_only = False

    @classmethod
    @abstractmethod
    def of(cls, model: nn.Module, method: str, options: Options) -> "Reduction":
        """A reduced tower.

        raises   ValueError or TypeError, quoting it, for what this method cannot do
        """

    @abstractmethod
    def seen(self, patches: int, chosen: int | None = None) -> list[tuple[int, int]]:
        """Tokens in each layer's attention and in its MLP, as `lib.models.clip.cost` takes them.

        patches  of the image, before any is taken away
        chosen   how many of them this image keeps, for a method with a number per image
        raises   ValueError for such a method without it
        """


class Reduced(Reduction):
    """A vision tower that takes tokens away on the way; a method is a subclass, made by `reduce_tokens`.

    Call and output are the model's. `last_hidden_state` and hidden states hold the tokens that remain there, or, with
    `dense`, at every patch the token that holds it, or the nearest patch's; with `class_row_only` the last layer holds
    the class token alone. `pooler_output` is as in the model.
    """

    def __init__(self, model: nn.Module, method: str, options: Options):
        super().__init__(model)
        if (self.reads_class or options.class_row_only) and not self.tower.classes:
            what = f"method = {method!r}" if self.reads_class else "class_row_only"
            raise ValueError(f"{what}: {type(model).__name__} has no class token")
        options.check()
        layers = len(self.tower.layers) - options.class_row_only
        if self.reads_class and not layers:
            raise ValueError(f"class_row_only: {type(model).__name__} has one layer, none in which {method!r} chooses")
        layer = self.usual_layer(layers) if options.layer is None else options.layer
        if layers or options.layer is not None:
            check_count("layer", layer, 0, max(0, layers - 1))
        self.method, self.keep, self.schedule, self.layer = method, options.keep, options.schedule, layer
        self.class_row_only, self.summary, self.seed = options.class_row_only, options.summary, options.seed
        self.dense, self.tile, self.slicing = options.dense, options.tile, False
        plan = self.plan(self.tower.patches)  # what cannot be is refused before any image comes
        left = self.dense is True and any(cut.count and not self._holds(cut) for cut in plan)
        if self.dense and (self.class_row_only or left):
            lost = "class_row_only" if self.class_row_only else f"method = {method!r}"
            raise ValueError(f"dense: with {lost} some patches are held by no token")
        for layer in self._opened(plan):
            check_unhooked(layer, self.tower.attention(layer))

    @classmethod
    def of(cls, model: nn.Module, method: str, options: Options) -> "Reduced":
        """A reduced tower.

        raises   ValueError, quoting it, for options out of range, and for a tower without the class token that is read
        """
        return cls(model, method, options)

    @abstractmethod
    def planned(self, patches: int) -> list[Cut]:
        """Cuts at all points, the one before the first layer first, for an image of so many patches.

        raises   ValueError, quoting it, for an option by which tokens run out
        """

    @abstractmethod
    def fewer(self, tokens: Tokens, cut: Cut, attended: Attended | None) -> Tokens:
        """Tokens after a cut; called where its count is not 0.

        attended   of the layer; none before the first
        """

    def plan(self, patches: int) -> list[Cut]:
        """Cuts at all points, with numbers of tokens that fill whole tiles."""
        return self.around.tiled(patches, self.planned(patches), self.tile)

    @staticmethod
    def usual_layer(layers: int) -> int:
        """Number of the layer in which the class token chooses, by default the second."""
        return min(1, layers - 1)

    @property
    def depth(self) -> int:
        """Number of layers that are computed whole."""
        return len(self.tower.layers) - self.class_row_only

    @property
    def around(self) -> Around:
        """What stands beside the patches' tokens."""
        return Around(self.tower.classes, self.summary)

    def once(self, point: int, count: int) -> list[Cut]:
        """A plan by which so many tokens are left out at one point and none elsewhere."""
        plan = [Cut()] * (1 + self.depth)
        plan[point] = Cut(count)
        return plan

    def best(self, tokens: Tokens, cut: Cut, scores: Float[Tensor, "B P"]) -> Tokens:
        """Tokens of the highest scores, and, where a summary is wanted, the mean of the others."""
        chosen = scores.topk(tokens.count - cut.count, dim=1).indices
        return tokens.summarised(chosen) if self.summary else tokens.kept(chosen)

    def sliced(self) -> "Reduced":
        """A tower with as many tokens at every point, always the first ones: the cost without scoring or matching."""
        other = copy.copy(self)
        other.slicing = True
        return other

    def traced(
        self, pixel_values: Float[Tensor, "B C H W"], interpolate_pos_encoding: bool | None = None
    ) -> tuple[Output, Tokens]:
        """The output, and the last layer's tokens, which know the patches that each of them holds and those gone.

        raises   ValueError for pixels that are no images of this tower, empty or not finite
        """
        self.tower.check(pixel_values)
        return self._walked(pixel_values, interpolate_pos_encoding, Record(self.config, self.depth, {}), placed=True)

    def recorded(self, pixels: Float[Tensor, "B C H W"], interpolate: bool | None, record: Record) -> Output:
        """The model's output, computed from fewer tokens."""
        return self._walked(pixels, interpolate, record, placed=bool(self.dense))[0]

    def seen(self, patches: int, chosen: int | None = None) -> list[tuple[int, int]]:
        """Tokens in each layer's attention and in its MLP, the same for every image of so many patches."""
        return self.around.counted(patches, self.plan(patches), self.class_row_only)

    def _holds(self, cut: Cut) -> bool:
        """Whether tokens hold the patches of those that go."""
        return cut.merging or self.summary

    def _opened(self, plan: Sequence[Cut]) -> Iterator[nn.Module]:
        """Layers under a plan that are not called as a whole."""
        single = not (plan[0].count and plan[0].merging)
        for number, layer in enumerate(self.tower.layers):
            cut = plan[1 + number] if number < self.depth else Cut()
            if (cut.count and not cut.after) or not single or number >= self.depth:
                yield layer
            single = single and not (cut.count and (cut.merging or self.per_image))

    def _walked(self, pixels: Tensor, interpolate: bool | None, record: Record, placed: bool) -> tuple[Output, Tokens]:
        tower = self.tower
        tokens = Tokens.of(tower.embed(pixels, interpolate), tower.classes, placed)
        first, *inside = self.plan(tokens.count)
        tokens = self._cut(tokens, first)
        record.state(tokens)
        for number, cut in enumerate(inside):
            tokens = self._through(tower.layers[number], tokens, Cut() if cut.after else cut, record)
            record.state(tokens)
            if cut.after:
                tokens = self._cut(tokens, cut)
        last = tokens
        if self.class_row_only:
            last = self._through(tower.layers[-1], tokens, Cut(), record, queries=1)
            record.state(last)
        output = tower.finish(last.x, last.weights)
        if not self.dense:
            return record.into(output, lambda state: state.x), tokens

        def seen(tokens: Tokens, x: Tensor | None = None) -> Tensor:
            rows, columns = (side // self.config.patch_size for side in pixels.shape[-2:])
            return (tokens.nearest(rows, columns) if self.dense == NEAREST else tokens).dense(x)

        output.last_hidden_state = seen(tokens, output.last_hidden_state)
        return record.into(output, seen), tokens

    def _through(
        self, layer: nn.Module, tokens: Tokens, cut: Cut, record: Record, queries: int | None = None
    ) -> Tokens:
        """Tokens after one layer and the cut inside it."""
        if not cut.count and tokens.single and queries is None:
            return replace(tokens, x=record.through(layer, self.tower.attention(layer), tokens.x))
        return through(self.tower, layer, tokens, record, lambda tokens, seen: self._cut(tokens, cut, seen), queries)

    def _cut(self, tokens: Tokens, cut: Cut, attended: Attended | None = None) -> Tokens:
        if not cut.count:
            return tokens
        if self.slicing:
            sliced = tokens.sliced(self.around.left(tokens.count, cut))
            return replace(sliced, single=False) if cut.merging else sliced
        return self.fewer(tokens, cut, attended)
