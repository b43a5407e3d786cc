"""Vision towers of transformers, taken apart: what comes before, between and after their layers.

One adapter for the towers that are known: CLIP's, which has a class token, and SigLIP's, which has none. The parts are
the model's own modules, called as the model calls them. Symbols: `lib/__init__.py`.
"""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor, nn
from transformers.modeling_outputs import BaseModelOutputWithPooling

from lib.kernels.eager import eager
from lib.models.checks import check_finite, check_shape
from lib.models.clip.tower.attention import attend, class_row, heads, pool
from lib.models.clip.tower.known import check_tower

__all__ = ["Tower", "attend", "class_row", "heads"]


@dataclass(frozen=True)
class Tower:
    """A vision tower between whose layers tokens can be taken away.

    model     with `embeddings`, `encoder.layers`, `post_layernorm`; `pre_layrnorm` or `head` as it has them
    classes   number of class tokens, 1 or 0, which stand before the patches
    """

    model: nn.Module
    classes: int

    @classmethod
    def of(cls, model: nn.Module) -> "Tower":
        """The tower of a model that is known, by its class and those of its parts, none of them changed.

        raises   TypeError, naming its type and what is not known, for any other
        """
        check_tower(model)
        return cls(model, int(hasattr(model.embeddings, "class_embedding")))

    @property
    def layers(self) -> nn.ModuleList:
        """The model's own layers, in their order."""
        return self.model.encoder.layers

    def check(self, pixels: Tensor) -> None:
        """Accept pixels that are images of this tower.

        Values are looked at on a CPU, where nobody compiles or traces: on a GPU it costs a wait.

        raises   TypeError for what is no tensor; ValueError, naming shape, type or values, for others
        """
        channels, patch = self.model.config.num_channels, self.model.config.patch_size
        check_shape("pixel_values", pixels, "B", channels, "H", "W", H=patch, W=patch)
        if not pixels.is_floating_point():
            raise ValueError(f"pixel_values of {pixels.dtype}: floating-point numbers are needed, normalised")
        if pixels.device.type == "cpu" and eager(pixels):
            check_finite("pixel_values", pixels)

    def embed(self, pixels: Float[Tensor, "B C H W"], interpolate: bool = False) -> Float[Tensor, "B S D"]:
        """Tokens as the first layer gets them: the class token, where there is one, then patches, row by row."""
        x = self.model.embeddings(pixels, interpolate_pos_encoding=interpolate)
        return self.model.pre_layrnorm(x) if hasattr(self.model, "pre_layrnorm") else x

    def finish(
        self, x: Float[Tensor, "B S D"], sizes: Float[Tensor, "B S"] | None = None
    ) -> BaseModelOutputWithPooling:
        """The model's output for the tokens of its last layer.

        sizes   number of patches in each token, which the pooling head needs; one each where left out
        """
        if self.classes:
            return BaseModelOutputWithPooling(last_hidden_state=x, pooler_output=self.model.post_layernorm(x[:, 0, :]))
        x = self.model.post_layernorm(x)
        pooled = pool(self.model.head, x, sizes) if getattr(self.model, "use_head", False) else None
        return BaseModelOutputWithPooling(last_hidden_state=x, pooler_output=pooled)
