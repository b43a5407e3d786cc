"""Vision towers of transformers, taken apart: what comes before, between and after their layers.

One adapter for the towers that are known, whose kinds are in `lib.models.clip.tower.families`. The parts are the
model's own modules, called as the model calls them. Symbols: `lib/__init__.py`.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor, nn
from transformers.modeling_outputs import BaseModelOutputWithPooling

from lib.kernels.eager import eager
from lib.models.checks import check_finite, check_shape
from lib.models.clip.tower.attention import attend, class_row, heads, pool
from lib.models.clip.tower.families import Family, part
from lib.models.clip.tower.known import check_attention, check_tower

__all__ = ["Tower", "attend", "class_row", "heads"]


@dataclass(frozen=True)
class Tower:
    """A vision tower between whose layers tokens can be taken away.

    model     with the parts that its family names
    family    of the model
    """

    model: nn.Module
    family: Family

    @classmethod
    def of(cls, model: nn.Module) -> "Tower":
        """The tower of a model that is known, by its class and those of its parts, none of them changed.

        raises   TypeError, naming its type and what is not known, for any other; ValueError, quoting it, for another
                 implementation of attention than eager and sdpa
        """
        return cls(model, check_tower(model))

    @property
    def classes(self) -> int:
        """Number of tokens that stand before the patches: class token, distillation token, registers, or none."""
        embeddings = self.model.embeddings
        single = sum(hasattr(embeddings, name) for name in ("class_embedding", "cls_token", "distillation_token"))
        return single + (embeddings.register_tokens.shape[1] if hasattr(embeddings, "register_tokens") else 0)

    @property
    def patches(self) -> int:
        """Number of patches of an image of the tower's own size."""
        embeddings = self.model.embeddings
        return getattr(embeddings, "patch_embeddings", embeddings).num_patches

    @property
    def layers(self) -> nn.ModuleList:
        """The model's own layers, in their order."""
        return part(self.model, self.family.layers)

    def attention(self, layer: nn.Module) -> nn.Module:
        """The attention of a layer."""
        return getattr(layer, self.family.attention)

    def attended(self, layer: nn.Module, x: Float[Tensor, "B S D"]) -> Float[Tensor, "B S D"]:
        """What a layer adds to its tokens, of the output of its attention."""
        return _through(layer, self.family.after[0], x)

    def changed(self, layer: nn.Module, x: Float[Tensor, "B S D"]) -> Float[Tensor, "B S D"]:
        """What a layer adds to its tokens by its MLP."""
        return _through(layer, self.family.after[1], layer.mlp(getattr(layer, self.family.norms[1])(x)))

    def normed(self, layer: nn.Module, x: Float[Tensor, "B S D"]) -> Float[Tensor, "B S D"]:
        """Tokens as the attention of a layer gets them."""
        return getattr(layer, self.family.norms[0])(x)

    def check(self, pixels: Tensor) -> None:
        """Accept pixels that are images of this tower.

        Values are looked at on a CPU, where nobody compiles or traces: on a GPU it costs a wait.

        raises   TypeError for what is no tensor; ValueError, naming shape, type or values, for others, and, quoting it,
                 for another implementation of attention than eager and sdpa
        """
        check_attention(self.model)
        channels, patch = self.model.config.num_channels, self.model.config.patch_size
        height, width = patch if isinstance(patch, Iterable) else (patch, patch)
        check_shape("pixel_values", pixels, "B", channels, "H", "W", H=height, W=width)
        if not pixels.is_floating_point():
            raise ValueError(f"pixel_values of {pixels.dtype}: floating-point numbers are needed, normalised")
        if pixels.device.type == "cpu" and eager(pixels):
            check_finite("pixel_values", pixels)

    def embed(self, pixels: Float[Tensor, "B C H W"], interpolate: bool | None = None) -> Float[Tensor, "B S D"]:
        """Tokens as the first layer gets them: those before the patches, where there are, then patches, row by row.

        interpolate   positions, for images of another size; as the model where left out
        """
        embeddings, options = self.model.embeddings, {}
        if self.family.resizes is not None:
            options["interpolate_pos_encoding"] = self.family.resizes if interpolate is None else interpolate
        x = embeddings(pixels.to(_weight(part(self.model, self.family.embedding)).dtype), **options)
        return self.model.pre_layrnorm(x) if hasattr(self.model, "pre_layrnorm") else x

    def finish(
        self, x: Float[Tensor, "B S D"], sizes: Float[Tensor, "B S"] | None = None
    ) -> BaseModelOutputWithPooling:
        """The model's output for the tokens of its last layer.

        sizes   number of patches in each token, which SigLIP's pooling head needs; one each where left out
        """
        model, norm = self.model, part(self.model, self.family.last_norm)
        if not self.family.norms_all:
            return BaseModelOutputWithPooling(last_hidden_state=x, pooler_output=norm(x[:, 0, :]))
        x = norm(x)
        if not self.classes:
            pooled = pool(model.head, x, sizes) if getattr(model, "use_head", False) else None
        elif hasattr(model, "pooler"):
            pooled = None if model.pooler is None else model.pooler(x)
        else:
            pooled = x[:, 0, :]
        return BaseModelOutputWithPooling(last_hidden_state=x, pooler_output=pooled)


def _through(layer: nn.Module, names: Iterable[str], x: Tensor) -> Tensor:
    for name in names:
        x = getattr(layer, name)(x)
    return x


def _weight(embedding: nn.Module) -> Tensor:
    return getattr(embedding, "projection", embedding).weight
