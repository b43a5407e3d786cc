"""Attention in which a token weighs as much as the patches that it holds. Symbols: `lib/__init__.py`.

Source: Bolya et al. (2023), https://arxiv.org/abs/2210.09461, "tracking token size".
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from lib.models.clip.tokens import wide

VIT = {"num_heads": "num_attention_heads", "scale": "scaling", "dropout": "attention_dropout", "out_proj": "o_proj"}


def named(attention: nn.Module, name: str) -> Any:
    """A part of an attention by CLIP's name of it; ViT and its kin have names of their own."""
    return getattr(attention, name if hasattr(attention, name) else VIT[name])


def heads(attention: nn.Module, x: Float[Tensor, "B S D"]) -> Float[Tensor, "B heads S dim"]:
    """Features of a projection, split into the heads of an attention."""
    return x.unflatten(-1, (named(attention, "num_heads"), attention.head_dim)).transpose(1, 2)


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
    """
    query = heads(attention, attention.q_proj(x[:, :queries]))
    key, value = heads(attention, attention.k_proj(x)), heads(attention, attention.v_proj(x))
    bias = None if sizes is None else sizes.log().to(query.dtype)[:, None, None, :]
    dropped, scale = named(attention, "dropout") if attention.training else 0.0, named(attention, "scale")
    out = F.scaled_dot_product_attention(query, key, value, attn_mask=bias, dropout_p=dropped, scale=scale)
    return named(attention, "out_proj")(out.transpose(1, 2).flatten(2)), query, key


def weights(
    attention: nn.Module,
    query: Float[Tensor, "B heads Q dim"],
    key: Float[Tensor, "B heads S dim"],
    sizes: Float[Tensor, "B S"] | None = None,
) -> Float[Tensor, "B heads Q S"]:
    """Attention of tokens to tokens, at least in single precision.

    query, key   as `attend` returns them
    sizes        number of patches in each token; one each where left out
    """
    logits = (wide(query) @ wide(key).mT) * named(attention, "scale")  # products in half precision may overflow
    if sizes is not None:
        logits = logits + sizes.log()[:, None, None, :]
    return torch.softmax(logits, dim=-1)


def class_row(
    attention: nn.Module,
    query: Float[Tensor, "B heads S dim"],
    key: Float[Tensor, "B heads S dim"],
    sizes: Float[Tensor, "B S"] | None = None,
) -> Float[Tensor, "B S"]:
    """Attention of the class token to every token, the mean over heads, from one row of products.

    query, key, sizes   as in `weights`
    """
    return weights(attention, query[:, :, :1], key, sizes).squeeze(2).mean(1)


def pool(head: nn.Module, x: Float[Tensor, "B S D"], sizes: Float[Tensor, "B S"] | None = None) -> Float[Tensor, "B D"]:
    """Features of an image by SigLIP's pooling head, in which a token weighs as much as its patches.

    sizes   number of patches in each token; one each where left out
    """
    if sizes is None:
        return head(x)
    attention = head.attention
    bias = sizes.log().to(x.dtype)[:, None, None, :].expand(-1, attention.num_heads, -1, -1).flatten(0, 1)
    found, _ = attention(head.probe.expand(len(x), -1, -1), x, x, attn_mask=bias, need_weights=False)
    return (found + head.mlp(head.layernorm(found)))[:, 0]
