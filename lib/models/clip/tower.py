"""Vision towers of transformers, taken apart: what comes before, between and after their layers.

One adapter for every tower with the parts of a ViT: CLIP, which has a class token, and SigLIP, which has none. The
parts are the model's own modules, called as the model calls them. Symbols: `lib/__init__.py`.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F
from transformers.modeling_outputs import BaseModelOutputWithPooling

from lib.models.checks import check_finite, check_shape


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
        """The tower of a model.

        raises   TypeError, naming its type and what it lacks, for a model of other parts
        """
        for path in ("embeddings.patch_embedding", "encoder.layers", "post_layernorm"):
            part = model
            for name in path.split("."):
                part = getattr(part, name, None)
            if part is None:
                raise TypeError(f"{type(model).__name__} has no {path}: a vision tower as of CLIP or SigLIP is needed")
        return cls(model, int(hasattr(model.embeddings, "class_embedding")))

    @property
    def layers(self) -> nn.ModuleList:
        """The model's own layers, in their order."""
        return self.model.encoder.layers

    def check(self, pixels: Tensor) -> None:
        """Accept pixels that are images of this tower; values are looked at unless it is being compiled.

        raises   ValueError, naming shape, type or values, for others
        """
        channels, patch = self.model.config.num_channels, self.model.config.patch_size
        check_shape("pixel_values", pixels, "B", channels, "H", "W", H=patch, W=patch)
        if not pixels.is_floating_point():
            raise ValueError(f"pixel_values of {pixels.dtype}: floating-point numbers are needed, normed")
        if not torch.compiler.is_compiling():
            check_finite("pixel_values", pixels)

    def embed(self, pixels: Float[Tensor, "B C H W"], interpolate: bool = False) -> Float[Tensor, "B S D"]:
        """Tokens as the first layer gets them: the class token, where there is one, then patches, row by row."""
        x = self.model.embeddings(pixels, interpolate_pos_encoding=interpolate)
        return self.model.pre_layrnorm(x) if hasattr(self.model, "pre_layrnorm") else x

    def finish(self, x: Float[Tensor, "B S D"]) -> BaseModelOutputWithPooling:
        """The model's output for the tokens of its last layer."""
        if self.classes:
            return BaseModelOutputWithPooling(last_hidden_state=x, pooler_output=self.model.post_layernorm(x[:, 0, :]))
        x = self.model.post_layernorm(x)
        pooled = self.model.head(x) if getattr(self.model, "use_head", False) else None
        return BaseModelOutputWithPooling(last_hidden_state=x, pooler_output=pooled)


def heads(attention: nn.Module, x: Float[Tensor, "B S D"]) -> Float[Tensor, "B heads S dim"]:
    """Features of a projection, split into the heads of an attention."""
    return x.unflatten(-1, (attention.num_heads, attention.head_dim)).transpose(1, 2)


def attend(
    attention: nn.Module,
    x: Float[Tensor, "B S D"],
    sizes: Float[Tensor, "B S"] | None = None,
    queries: int | None = None,
) -> tuple[Float[Tensor, "B Q D"], Float[Tensor, "B heads Q dim"], Float[Tensor, "B heads S dim"]]:
    """Attention by a module's own projections, in which a token weighs as much as the patches that it is the mean of.

    x        normed tokens, as the attention gets them
    sizes    number of patches in each token; one each where left out
    queries  number of tokens, from the first, that attend to all; every one where left out
    returns  output, queries and keys
    source   Bolya et al. (2023), https://arxiv.org/abs/2210.09461, "tracking token size"
    """
    query = heads(attention, attention.q_proj(x[:, :queries]))
    key, value = heads(attention, attention.k_proj(x)), heads(attention, attention.v_proj(x))
    bias = None if sizes is None else sizes.log().to(x.dtype)[:, None, None, :]
    out = F.scaled_dot_product_attention(query, key, value, attn_mask=bias, scale=attention.scale)
    return attention.out_proj(out.transpose(1, 2).flatten(2)), query, key


def class_row(
    attention: nn.Module,
    query: Float[Tensor, "B heads Q dim"],
    key: Float[Tensor, "B heads S dim"],
    sizes: Float[Tensor, "B S"] | None = None,
) -> Float[Tensor, "B S"]:
    """Attention of the class token to every token, the mean over heads, from one row of products.

    query, key   as `attend` returns them
    sizes        number of patches in each token; one each where left out
    """
    logits = (query[:, :, :1] @ key.mT).squeeze(2) * attention.scale
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    if sizes is not None:
        logits = logits + sizes.log().unsqueeze(1)
    return torch.softmax(logits, dim=-1).mean(1)
