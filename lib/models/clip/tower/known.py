"""Which models are towers, and which parts of theirs are as transformers wrote them.

What works with a tower's parts, rather than calling it, is right for code that it knows, and for no other: a list of
the known, by where a class is defined and what it is named.
"""

from torch import nn

from lib.models.checks import check_choice
from lib.models.clip.tower.families import Family, defined, names, part, reason

NEEDED = f"a vision tower of transformers is needed, one of {', '.join(names())}"
WITHIN = ("vision_model", "vision_tower", "vit", "deit", "dinov2", "dinov2_with_registers", "module", "_orig_mod")
WITHIN = (*WITHIN, "base_model.model", "model.vision_tower", "clip.vision_model")
ATTENTIONS = ("eager", "sdpa")  # implementations by which attention is the softmax of products, nothing else
CALLS = (  # whose __call__ does no more than forward: that of later releases of transformers is torch's
    ("torch.nn.modules.module", "Module"),
    ("transformers.modeling_layers", "GradientCheckpointingLayer"),
)
HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
CAPTURING = "transformers.utils.output_capturing"  # hooks that tell a tower what its layers give


def check_tower(model: nn.Module) -> Family:
    """The family of a vision tower that is known, by its class and those of its parts, none of them changed.

    raises   TypeError, naming its type and what is not known, for any other; ValueError, quoting it, for another
             implementation of attention than ATTENTIONS
    """
    name, family = type(model).__name__, _forward(model)
    if family is None:
        why = reason(type(model)) or "is none that is known"
        if any(defined(kind) for kind in type(model).__mro__):
            why = "has another forward"
        inside = [f"; its .{way} is one" for way in WITHIN if _forward(part(model, way))]
        raise TypeError(f"{name} {why}: {NEEDED}{''.join(inside[:1])}")
    for path in (family.embedding, family.layers, family.last_norm):
        if part(model, path) is None:
            raise TypeError(f"{name} has no {path}, unlike those of later releases of transformers: {NEEDED}")
    if not len(part(model, family.layers)):
        raise TypeError(f"{name} without layers: {NEEDED}")
    for path, found, end in family.known(model):
        if _forward(found, (end,)) is not family:
            raise TypeError(f"{name} with {path} changed, of type {type(found).__name__}: {NEEDED}")
        if end == "Attention" and not hasattr(found, "q_proj"):
            raise TypeError(f"{name} has no {path}.q_proj, unlike those of later releases of transformers: {NEEDED}")
    check_attention(model)
    return family


def check_attention(model: nn.Module) -> None:
    """Accept a tower whose attention is computed in a way that is done here, too.

    raises   ValueError, quoting it, for another implementation
    """
    check_choice("the tower's attention implementation", model.config._attn_implementation, ATTENTIONS)


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


def _forward(module: object, ends: tuple[str, ...] = ()) -> Family | None:
    """The family whose class a module's forward is of, neither overridden by a subclass nor replaced in place.

    ends   of the class's name; those of the towers where left out
    """
    if not isinstance(module, nn.Module) or "forward" in vars(module):
        return None
    calls = next(kind for kind in type(module).__mro__ if "__call__" in vars(kind))
    if (calls.__module__, calls.__qualname__) not in CALLS:
        return None
    return defined(next(kind for kind in type(module).__mro__ if "forward" in vars(kind)), ends)
