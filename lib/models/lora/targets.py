"""Layers that an adapter can have: plain linear ones, each named once, whose weight is theirs alone.

What is known to be right is listed; anything else about a layer is refused by name.
"""

import difflib
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping

import torch
from torch import Tensor, nn
from torch.nn.modules.linear import NonDynamicallyQuantizableLinear

from lib.models.checks import check_count, check_kind
from lib.models.lora.linear import adapters

SHOWN = 4  # names that a message lists
DTYPES = (torch.float64, torch.float32, torch.bfloat16, torch.float16)
HOOKS = (
    *("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks"),
    *("_state_dict_hooks", "_state_dict_pre_hooks", "_load_state_dict_pre_hooks", "_load_state_dict_post_hooks"),
)
COMPILED = "_orig_mod"  # where torch.compile keeps a model
DEPTH = 2  # of lists in lists that a module keeps tensors in


def matching(model: nn.Module, targets: str) -> dict[str, nn.Linear]:
    """Linear layers whose full name matches a regular expression, in the model's order.

    raises   ValueError, as `lib.models.lora.layers.add_lora` says; TypeError for what is no expression, such as a list
             of names
    """
    pattern, model = checked(model, targets)
    for name, layer in model.named_modules():  # peft writes into weights that it took for plain ones
        if any(kind.__module__.partition(".")[0] == "peft" for kind in type(layer).__mro__):
            raise ValueError(f"{name or 'model'} is peft's {type(layer).__name__}: merge_and_unload there first")
    own = dict(adapters(model))
    known = {
        name: layer for name, layer in model.named_modules() if name and name.rpartition(".")[0] not in own
    }  # the parts of an adapted layer are its own
    linear = [name for name, layer in known.items() if type(layer) is nn.Linear]
    found = {name: layer for name, layer in known.items() if pattern.fullmatch(name)}
    if not found:
        raise ValueError(f"targets = {targets!r}: no layer has such a name; {_near(targets, linear)}")
    for name, layer in found.items():
        if name in own:
            raise ValueError(f"{name} has an adapter: merge it first, or name other layers")
        if type(layer) is not nn.Linear:  # a subclass may compute anything
            kind = type(layer).__name__ if type(layer).__name__ != "Linear" else f"{type(layer).__module__}.Linear"
            split = ", or split_attention makes it one" if type(layer) is NonDynamicallyQuantizableLinear else ""
            raise ValueError(f"{name} is of type {kind}, not Linear; {_near(name, linear)}{split}")
        if COMPILED in name:
            raise ValueError(f"{name}: a part of the model is compiled; add adapters before, or compile all of it")
        check_plain(name, layer)
    check_alone(model, found)
    return found


def checked(model: nn.Module, targets: str) -> tuple[re.Pattern[str], nn.Module]:
    """The expression, and the model that names its layers.

    raises   ValueError, quoting it, for what is no regular expression; TypeError for what is no string, or no model
    """
    check_kind("targets", targets, str)
    try:
        pattern = re.compile(targets)
    except re.error as error:
        raise ValueError(f"targets = {targets!r}: no regular expression ({error})") from None
    check_kind("model", model, nn.Module)
    return pattern, uncompiled(model)


def uncompiled(model: nn.Module) -> nn.Module:
    """The model that torch.compile has wrapped, which names its layers as before; any other one as it is."""
    return getattr(model, COMPILED, model)


def check_rank(layers: Mapping[str, nn.Linear], rank: int) -> None:
    """Accept a rank that the matrices of all layers can have.

    raises   ValueError, naming the layer, for what is no integer, below 1, or above both sizes of a matrix
    """
    for name, layer in layers.items():
        shape = tuple(layer.weight.shape)
        check_count("rank", rank, 1, min(shape), where=f" in {name}, of shape {shape}")


def check_plain(
    name: str, layer: nn.Module, parameters: Collection[str] = ("weight", "bias"), modules: Collection[str] = ()
) -> None:
    """Accept a layer that computes with its own parameters and does nothing else: of a linear one, W x + b.

    parameters, modules   names of those that it has, and of no others
    raises                ValueError, naming it and what is more
    """
    if set(layer._parameters) != set(parameters) or layer._buffers or set(layer._modules) != set(modules):
        raise ValueError(f"{name}: its weight is computed from others; remove the norm, the pruning or the like first")
    for key, part in layer._parameters.items():
        if part is None and key != "weight":
            continue
        if not _ordinary(part):
            raise ValueError(f"{name} has parameters of type {type(part).__name__}: plain ones are needed")
        if part.layout != torch.strided or part.dtype not in DTYPES:
            said = part.dtype if part.layout == torch.strided else part.layout
            raise ValueError(f"{name} has parameters of {said}: {', '.join(map(str, DTYPES))} are needed")
        if part.device.type == "meta":
            raise ValueError(f"{name} is on the meta device: load its values first")
    check_unhooked(name, layer)
    if changed := [key for key in vars(layer) if callable(getattr(type(layer), key, None))]:
        raise ValueError(f"{name} has a {changed[0]} of its own: an adapter would not know what it computes")


def check_unhooked(name: str, layer: nn.Module) -> None:
    """Accept a layer without hooks.

    raises   ValueError, naming it, for one with hooks: they would be lost when the adapter is merged or comes back
    """
    if any(getattr(layer, hooks, None) for hooks in HOOKS):
        raise ValueError(f"{name} has hooks, which another layer in its place would lose: remove them first")


def check_alone(model: nn.Module, found: Mapping[str, nn.Module], weight: str = "weight") -> None:
    """Accept layers that have one name, and a weight that nobody else keeps: peft and tying would know the other.

    weight   the name of the parameter
    raises   ValueError, naming the layer and what shares it
    """
    held = Counter(id(layer) for parent in model.modules() for layer in parent._modules.values())
    for name, layer in found.items():
        if held[id(layer)] > 1:
            others = [one for one, same in model.named_modules(remove_duplicate=False) if same is layer and one != name]
            raise ValueError(f"{name} is {others[0]}, too: an adapter needs a layer of one name")
    names = {id(layer): name for name, layer in found.items()}
    last = {}  # by device: end, name and layer of what reaches farthest
    for device, start, end, owner, label in sorted(_spans(model), key=lambda span: span[:3]):
        reached, other, whose = last.get(device, (0, "", 0))
        if start < reached:
            for one, here, there in ((owner, label, other), (whose, other, label)):
                if one in names and here == f"{names[one]}.{weight}".lstrip("."):
                    raise ValueError(
                        f"{names[one] or 'model'} shares its weight with {there}: an adapter needs it alone"
                    )
        if end > reached:
            last[device] = end, label, owner


def _spans(model: nn.Module) -> Iterator[tuple[str, int, int, int, str]]:
    """Device, first byte, byte after the last, module and name of every tensor that the modules keep."""
    for name, module in model.named_modules():
        for key, value in {**vars(module), **module._parameters, **module._buffers}.items():
            if key in ("_parameters", "_buffers", "_modules"):
                continue
            label = f"{name}.{key}".lstrip(".")
            for x in _tensors(value, DEPTH):
                if type(x) in (nn.Parameter, Tensor) and x.layout == torch.strided and not x.is_meta:
                    steps = zip(x.shape, x.stride(), strict=True)
                    start, last = x.data_ptr(), sum((size - 1) * step for size, step in steps) + 1
                    yield str(x.device), start, start + last * x.element_size() * bool(x.numel()), id(module), label
                else:  # no memory to look at
                    yield "", id(x), id(x) + 1, id(module), label


def _ordinary(part: Tensor) -> bool:
    """Whether a parameter is numbers and nothing else: one of another class is if its copy on the host is plain."""
    kind = type(part)
    return kind is nn.Parameter or (nn.Parameter not in kind.__mro__ and type(part.detach()[:1].cpu()) is Tensor)


def _tensors(value: object, depth: int) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif depth and isinstance(value, list | tuple | dict):
        for one in value.values() if isinstance(value, dict) else value:
            yield from _tensors(one, depth - 1)


def _near(name: str, known: list[str]) -> str:
    """A hint: the linear layers whose names are nearest."""
    last: dict[str, str] = {}  # one of a kind says enough
    for one in known:
        last.setdefault(one.rpartition(".")[2], one)
    word = re.sub(r"\W+", " ", name).split()[-1:] or [""]
    close = difflib.get_close_matches(word[0], last, n=SHOWN, cutoff=0.5) or list(last)[:SHOWN]
    return f"linear ones are {', '.join(last[one] for one in close)}" if close else "there is no linear layer"
