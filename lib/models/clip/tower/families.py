"""Kinds of vision towers that are known: where transformers defines them, and what it calls their parts.

A new kind is a row of FAMILIES, if its layers are pre-norm and its attention is that of all tokens to all. A kind that
cannot be served has a row of REASONS. Symbols: `lib/__init__.py`.
"""

import functools
from collections.abc import Iterator
from dataclasses import dataclass

from torch import nn


@dataclass(frozen=True)
class Family:
    """A kind of towers; paths are those of its parts, a name in `parts` is the end of that of the part's class.

    where       module of transformers
    prefix      of its classes' names
    models      ends of the towers' names; the first 5.x releases say VisionTransformer
    parts       whose code is known and in part done here instead; those that a tower lacks are left out
    layers      and in each of them its attention and its two norms
    after       modules that the attention's output goes through before it is added, and those of the MLP's
    embedding   of the patches
    last_norm   after all layers
    norms_all   whether it norms all tokens, rather than the class token alone
    resizes     whether positions are interpolated where a call does not say; None where they always are
    """

    where: str
    prefix: str
    models: tuple[str, ...] = ("VisionModel", "VisionTransformer")
    parts: tuple[tuple[str, str], ...] = (("embeddings", "VisionEmbeddings"), ("encoder", "Encoder"))
    layers: str = "encoder.layers"
    layer: str = "EncoderLayer"
    attention: str = "self_attn"
    norms: tuple[str, str] = ("layer_norm1", "layer_norm2")
    after: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())
    embedding: str = "embeddings.patch_embedding"
    last_norm: str = "post_layernorm"
    norms_all: bool = False
    resizes: bool | None = False

    def known(self, model: nn.Module) -> Iterator[tuple[str, nn.Module, str]]:
        """Parts of a tower whose code is known: path, module, end of the name of its class."""
        for path, end in self.parts:
            if (found := part(model, path)) is not None:
                yield path, found, end
        for number, layer in enumerate(part(model, self.layers)):
            yield f"{self.layers}.{number}", layer, self.layer
            yield f"{self.layers}.{number}.{self.attention}", getattr(layer, self.attention, None), "Attention"


_SCALED = functools.partial(  # layer scale and drop path
    Family,
    models=("Model",),
    parts=(("embeddings", "Embeddings"), ("encoder", "Encoder")),
    layers="encoder.layer",
    layer="Layer",
    attention="attention",
    norms=("norm1", "norm2"),
    after=(("layer_scale1", "drop_path"), ("layer_scale2", "drop_path")),
    embedding="embeddings.patch_embeddings",
    last_norm="layernorm",
    norms_all=True,
    resizes=None,
)
_PLAIN = functools.partial(
    Family,
    models=("Model",),
    parts=(("embeddings", "Embeddings"), ("pooler", "Pooler")),
    layers="layers",
    layer="Layer",
    attention="attention",
    norms=("layernorm_before", "layernorm_after"),
    after=(("dropout",), ("dropout",)),
    embedding="embeddings.patch_embeddings",
    last_norm="layernorm",
    norms_all=True,
)
_HEAD = (*Family("", "").parts, ("head", "MultiheadAttentionPoolingHead"))
_IN = "transformers.models"
FAMILIES = (
    Family(f"{_IN}.clip.modeling_clip", "CLIP"),
    Family(f"{_IN}.siglip.modeling_siglip", "Siglip", parts=_HEAD, norms_all=True),  # and SigLIP 2 of one size
    Family(f"{_IN}.metaclip_2.modeling_metaclip_2", "MetaClip2"),
    Family(f"{_IN}.clipseg.modeling_clipseg", "CLIPSeg", resizes=True),
    _SCALED(f"{_IN}.dinov2.modeling_dinov2", "Dinov2"),
    _SCALED(f"{_IN}.dinov2_with_registers.modeling_dinov2_with_registers", "Dinov2WithRegisters"),
    _PLAIN(f"{_IN}.vit.modeling_vit", "ViT"),
    _PLAIN(f"{_IN}.deit.modeling_deit", "DeiT"),
)

_GRID = "has no tokens: its convolutions need every cell of a grid"
_WINDOWS = "attends within windows of a grid, from which no token can be taken"
_ROTATED = "rotates queries and keys by every patch's position inside its attention"
_BIASED = "adds a bias to its attention for every pair of patches"
REASONS = {  # package of transformers -> why its towers are not served
    "align": _GRID,
    "efficientnet": _GRID,
    "resnet": _GRID,
    "convnext": _GRID,
    "convnextv2": _GRID,
    "mobilenet_v2": _GRID,
    "timm_wrapper": "has layers of timm, which are not known",
    "swin": _WINDOWS,
    "swinv2": _WINDOWS,
    "dinov3_vit": _ROTATED,
    "beit": _BIASED,
    "siglip2": "takes images cut into patches, padded to one number; SigLIP 2 of one resolution is a SiglipVisionModel",
    "vit_mae": "leaves out patches at random by itself",
}


def part(model: object, path: str) -> object:
    """What is at a path inside a model; None where it has no such part."""
    for name in path.split("."):
        model = getattr(model, name, None)
    return model


def reason(kind: type) -> str | None:
    """Why towers of a class are not served, by the package of transformers that defines it; None where not known."""
    if "Text" in kind.__name__:
        return None
    return next((why for package, why in REASONS.items() if kind.__module__.startswith(f"{_IN}.{package}.")), None)


def names() -> list[str]:
    """Names of the towers' classes."""
    return [family.prefix + family.models[0] for family in FAMILIES]


@functools.cache
def defined(kind: type, ends: tuple[str, ...] = ()) -> Family | None:
    """The family by which transformers defines a class.

    ends   of the class's name; those of the towers where left out
    """
    for family in FAMILIES:
        known = {family.prefix + end for end in ends or family.models}
        if kind.__module__ == family.where and kind.__qualname__ in known:
            return family
    return None
