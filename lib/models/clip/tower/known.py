"""Which models are towers, and which parts of theirs are as transformers wrote them.

What works with a tower's parts, rather than calling it, is right for code that it knows, and for no other: a list of
the known, by where a class is defined and what it is named.
"""

import functools
from collections.abc import Iterator

from torch import nn

# Prefix of the classes' names -> where transformers defines them; the first 5.x releases say VisionTransformer.
KNOWN = {"CLIP": "transformers.models.clip.modeling_clip", "Siglip": "transformers.models.siglip.modeling_siglip"}
TOWERS = ("VisionModel", "VisionTransformer")
NEEDED = "a vision tower as of CLIP or SigLIP is needed, CLIPVisionModel or SiglipVisionModel of transformers"
WITHIN = ("vision_model", "vision_tower", "module", "_orig_mod", "base_model.model", "model.vision_tower")
CALLS = (  # whose __call__ does no more than forward: that of later releases of transformers is torch's
    ("torch.nn.modules.module", "Module"),
    ("transformers.modeling_layers", "GradientCheckpointingLayer"),
)
HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
CAPTURING = "transformers.utils.output_capturing"  # hooks that tell a tower what its layers give


def check_tower(model: nn.Module) -> None:
    """Accept a vision tower that is known, by its class and those of its parts, none of them changed.

    raises   TypeError, naming its type and what is not known, for any other
    """
    name = type(model).__name__
    inside = [f"; its .{way} is one" for way in WITHIN if _defined(_part(model, way), TOWERS)]
    needed = NEEDED + "".join(inside[:1])
    for path in ("embeddings.patch_embedding", "encoder.layers", "post_layernorm"):
        if _part(model, path) is None:
            raise TypeError(f"{name} has no {path}: {needed}")
    if not _defined(model, TOWERS):
        changed = any(_known(kind, TOWERS) for kind in type(model).__mro__)
        raise TypeError(f"{name}{' with another forward' * changed}: {needed}")
    if not len(model.encoder.layers):
        raise TypeError(f"{name} without layers: {NEEDED}")
    for path, part, kind in _parts(model):
        if not _defined(part, (kind,)):
            raise TypeError(f"{name} with {path} changed, of type {type(part).__name__}: {NEEDED}")


def check_unhooked(*modules: nn.Module) -> None:
    """Accept modules whose work may be done without calling them.

    raises   TypeError, naming the module's type, where hooks of others, or another forward, would not run
    """
    for module in modules:
        if "forward" in vars(module):
            raise TypeError(
                f"a {type(module).__name__} with another forward, which would not run where tokens go inside"
            )
        hooks = [hook for name in HOOKS for hook in getattr(module, name).values()]
        if any(getattr(hook, "__module__", None) != CAPTURING for hook in hooks):
            raise TypeError(f"hooks on a {type(module).__name__} would not run where tokens go inside: remove them")


def _parts(model: nn.Module) -> Iterator[tuple[str, nn.Module, str]]:
    """Parts whose code is known and in part done here instead: path, module, end of the name of its class."""
    yield "embeddings", model.embeddings, "VisionEmbeddings"
    yield "encoder", model.encoder, "Encoder"
    for number, layer in enumerate(model.encoder.layers):
        yield f"encoder.layers.{number}", layer, "EncoderLayer"
        yield f"encoder.layers.{number}.self_attn", layer.self_attn, "Attention"
    if hasattr(model, "head"):
        yield "head", model.head, "MultiheadAttentionPoolingHead"


def _part(model: object, path: str) -> object:
    for name in path.split("."):
        model = getattr(model, name, None)
    return model


def _defined(part: object, ends: tuple[str, ...]) -> bool:
    """Whether a module's forward is that of a known class, neither overridden by a subclass nor replaced in place."""
    if not isinstance(part, nn.Module) or "forward" in vars(part):
        return False
    calls = next(kind for kind in type(part).__mro__ if "__call__" in vars(kind))
    if (calls.__module__, calls.__qualname__) not in CALLS:
        return False
    return _known(next(kind for kind in type(part).__mro__ if "forward" in vars(kind)), ends)


@functools.cache
def _known(kind: type, ends: tuple[str, ...]) -> bool:
    names = {(where, prefix + end) for prefix, where in KNOWN.items() for end in ends}
    return (kind.__module__, kind.__qualname__) in names
