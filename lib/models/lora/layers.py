"""Low-rank adapters on the linear layers of any model: W x + scale B A x, of which A and B alone learn.

Other kinds are rows of `lib.names.ADAPTERS`; their learning rates: `lib.models.lora.rates`. Files, as peft has them:
`lib.models.lora.files`. Several on one model: `lib.models.lora.named`. Symbols: `lib/__init__.py`. Source: Hu et al.
(2022), https://arxiv.org/abs/2106.09685.
"""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lib.models.checks import check_finite, check_kind, check_number
from lib.models.lora.kinds import kind
from lib.models.lora.linear import LoraLinear, adapted, adapters, apart, become
from lib.models.lora.targets import check_rank, check_unhooked, matching, uncompiled

__all__ = [
    *("LoraLinear", "Trainable", "adapted", "adapters", "add_lora", "check_rank", "freeze", "matching", "merge_lora"),
    *("trainable_report", "unmerge_lora"),
]
LOST = 0.25  # share of an adapter that rounding may take before a merge says so
ROUNDINGS = 8  # by which a merged weight may differ from another sum of the same matrices


@dataclass(frozen=True)
class Trainable:
    """Numbers of a model's parameters, and the memory that a training needs beside them.

    trainable, total   numbers of parameters
    gradient_bytes     of one gradient per trainable parameter
    optimiser_bytes    of Adam's two moments per trainable parameter
    """

    trainable: int
    total: int
    gradient_bytes: int
    optimiser_bytes: int

    @property
    def share(self) -> float:
        """Share of the parameters that is trainable."""
        return self.trainable / self.total


def add_lora(
    model: nn.Module,
    targets: str,
    rank: int,
    alpha: float,
    dropout: float = 0.0,
    adapter: str = "lora",
    *,
    generator: torch.Generator | None = None,
) -> list[str]:
    """Freeze a model, in place, and give the linear layers whose full names match an adapter each.

    A layer with an adapter computes W x + scale B A x when it is called, and its `weight` is W + scale B A, so that a
    model which reads the weight and never calls the layer is adapted as well. The model's output is the same at the
    start: to the last bit, and of "pissa" but for rounding.

    targets     a regular expression, for the whole of a name, as peft reads it: ".*(q_proj|v_proj)"
    rank        1 <= rank <= both sizes of every such layer
    alpha       the adapter's output is multiplied by alpha / rank, of "rslora" by alpha / sqrt(rank)
    dropout     share of the adapter's inputs that training leaves out, where the layer is called
    adapter     one of `lib.names.ADAPTERS`
    generator   of A, on the CPU; torch's own where left out
    returns     names of the layers, in the model's order
    raises      ValueError, and changes nothing, for a value out of range, for a pattern that matches no layer or one
                that is not linear, naming near ones, and for a layer that has an adapter, hooks, a second name, or a
                weight that is computed, quantised, shared, not there yet or nothing that this kind can begin from;
                TypeError for targets that are no text
    """
    check_number("dropout", dropout, 0, below=1)
    made_of = kind(adapter)
    found = matching(model, targets)
    check_rank(found, rank)
    check_number("alpha", alpha, above=0)
    for name, layer in found.items():
        made_of.check(name, layer.weight)
    made = [made_of(apart(layer), rank, alpha, dropout, generator) for layer in found.values()]
    for layer, other in zip(found.values(), made, strict=True):
        become(layer, other)
    freeze(model)
    return list(found)


def merge_lora(model: nn.Module) -> dict[str, LoraLinear]:
    """Replace each layer with an adapter by a plain linear layer of the adapted weight, W + scale B A, in place.

    In half precision the sum is rounded, which can take much of a small adapter: a warning says how much.

    returns   the layers replaced, by name, for `unmerge_lora`; drop them, and their memory is free
    raises    ValueError, and changes nothing, for a model without adapters, a layer with hooks, and a sum that is not
              finite, such as one beyond the range of half precision
    """
    model = uncompiled(model)
    found, plain, lost = adapted(model), {}, {}
    for name, layer in found.items():
        check_unhooked(name, layer)
        check_unhooked(name, layer.base)
        plain[name] = layer.merged()
        check_finite(f"merged weight of {name}, in {layer.base.weight.dtype}", plain[name].weight)
        lost[name] = _lost(layer, plain[name].weight)
    worst = max(lost, key=lost.__getitem__)
    if lost[worst] > LOST:
        said = f"rounding to {plain[worst].weight.dtype} changes the adapter of {worst} by {lost[worst]:.0%}"
        warnings.warn(f"{said}: merge in float32 to keep it", stacklevel=2)
    for name, layer in plain.items():
        model.set_submodule(name, layer)
    return found


def unmerge_lora(model: nn.Module, merged: Mapping[str, LoraLinear]) -> None:
    """Put back, to the last bit, the layers that `merge_lora` replaced.

    raises   ValueError, naming it, and changes nothing, for a layer that is not where it was, of another shape, dtype
             or device, or that has changed since, as its adapter may have; TypeError for what is no mapping
    """
    check_kind("merged", merged, Mapping, "mapping of names to layers")
    model = uncompiled(model)
    for name, layer in merged.items():
        try:
            here = model.get_submodule(name)
        except AttributeError:
            here = None
        if type(here) is not nn.Linear or here.weight.shape != layer.base.weight.shape:
            raise ValueError(f"{name}: no merged layer of this shape is there")
        check_unhooked(name, here)
        again, weight = layer.merged().weight, here.weight
        for was, now in ((again.dtype, weight.dtype), (again.device, weight.device)):
            if was != now:
                raise ValueError(f"{name} was merged in {was} and is in {now} now: its adapter does not fit any more")
        allowed = ROUNDINGS * torch.finfo(again.dtype).eps * again.abs().max()
        pairs = [(weight, again, allowed)] + [(here.bias, layer.bias, 0)] * (layer.bias is not None)
        if (here.bias is None) != (layer.bias is None) or not all((a - b).abs().max() <= most for a, b, most in pairs):
            raise ValueError(f"{name} has changed since it was merged, or its adapter has; one would be lost")
    for name, layer in merged.items():
        model.set_submodule(name, layer.train(model.get_submodule(name).training))


@torch.no_grad()
def _lost(layer: LoraLinear, merged: Tensor) -> float:
    """Share of an adapter that the rounding of a merged weight of half precision takes."""
    exact, weight = layer.summed(), layer.base.weight
    added = exact - weight
    if weight.dtype == exact.dtype:
        return 0.0
    if not added.any():  # too small for the sum itself, or nothing
        return float(layer.product().any())
    return ((merged - exact).norm() / added.norm()).item()


def freeze(model: nn.Module) -> None:
    """Freeze all weights but those of adapters, and drop the gradients that an optimiser could still take from them."""
    own = {id(weight) for _, layer in adapters(model) for weight in layer.parameters(recurse=False)}
    for weight in model.parameters():
        weight.requires_grad_(id(weight) in own)
        if id(weight) not in own:
            weight.grad = None


def trainable_report(model: nn.Module) -> Trainable:
    """Count the parameters that learn, and the memory that they cost beside the parameters."""
    weights = list(model.parameters())
    learning = [weight for weight in weights if weight.requires_grad]
    gradient = sum(weight.nbytes for weight in learning)
    return Trainable(sum(x.numel() for x in learning), sum(x.numel() for x in weights), gradient, 2 * gradient)
