"""Low-rank adapters on the linear layers of any model: W x + scale B A x, of which A and B alone learn.

Files, as peft has them: `lib.models.lora.files`. Symbols: `lib/__init__.py`. Source: Hu et al. (2022),
https://arxiv.org/abs/2106.09685; the start from singular vectors, Meng et al. (2024), https://arxiv.org/abs/2404.02948.
"""

import difflib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from lib.models.checks import check_choice, check_count, check_finite, check_kind, check_number

Init = Literal["zero", "svd"]
SHOWN = 4  # names that a message lists


class LoraLinear(nn.Module):
    """A frozen linear layer with a low-rank adapter.

    base              the layer; from an SVD start on, its weight is what the adapter began without
    A, B              (rank, in) and (out, rank); float32 over a base of half precision
    scale             alpha / rank
    start_A, start_B  of an SVD start alone: A and B as they began
    """

    def __init__(
        self,
        base: nn.Linear,
        rank: int,
        alpha: float,
        dropout: float = 0.0,
        init: Init = "zero",
        generator: torch.Generator | None = None,
    ):
        super().__init__()
        self.base, self.rank, self.alpha, self.scale = base, rank, alpha, alpha / rank
        self.dropout = nn.Dropout(dropout)
        weight = base.weight.detach()
        dtype = torch.promote_types(weight.dtype, torch.float32)
        if init == "svd":
            left, values, right = torch.linalg.svd(weight.to(dtype), full_matrices=False)
            root = (values[:rank] / self.scale).sqrt()
            A, B = root[:, None] * right[:rank], left[:, :rank] * root
            base.weight = nn.Parameter((weight - self.scale * (B @ A)).to(weight.dtype), requires_grad=False)
            self.register_buffer("start_A", A.clone())
            self.register_buffer("start_B", B.clone())
        else:
            bound = base.in_features**-0.5  # what nn.Linear begins with
            A = torch.empty(rank, base.in_features, dtype=dtype).uniform_(-bound, bound, generator=generator)
            B = torch.zeros(base.out_features, rank, dtype=dtype)
        self.init = init
        self.A, self.B = (nn.Parameter(x.to(weight.device).contiguous()) for x in (A, B))
        self.train(base.training)

    @property
    def weight(self) -> Tensor:
        """The frozen weight: some models read a layer's device or dtype off it."""
        return self.base.weight

    @property
    def bias(self) -> Tensor | None:
        """The frozen bias."""
        return self.base.bias

    def forward(self, x: Float[Tensor, "*batch into"]) -> Float[Tensor, "*batch out"]:
        """The frozen layer's output plus the adapter's."""
        y = self.base(x)
        low = F.linear(self.dropout(x.to(self.A.dtype)), self.A)
        return (y + F.linear(low, self.B) * self.scale).to(y.dtype)

    def merged(self) -> nn.Linear:
        """Make one plain layer that computes the same, at the cost of the original one."""
        weight = self.base.weight.detach()
        delta = (self.B.detach() @ self.A.detach()) * self.scale
        layer = nn.Linear(1, 1, bias=False, device="meta").train(self.training)
        layer.in_features, layer.out_features = self.base.in_features, self.base.out_features
        layer.weight = nn.Parameter((weight + delta).to(weight.dtype), requires_grad=False)
        layer.bias = self.base.bias
        return layer


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
    init: Init = "zero",
    *,
    generator: torch.Generator | None = None,
) -> list[str]:
    """Freeze a model, in place, and give the linear layers whose full names match an adapter each.

    targets     a regular expression, for the whole of a name, as peft reads it: ".*(q_proj|v_proj)"
    rank        1 <= rank <= both sizes of every such layer
    alpha       the adapter's output is multiplied by alpha / rank
    dropout     share of the adapter's inputs that training leaves out
    init        "zero": A random, B zero; "svd": the layer's largest singular values and vectors, which leave it. The
                model's output is the same at the start, with "zero" to the last bit
    generator   of A, on the CPU; torch's own where left out
    returns     names of the layers, in the model's order
    raises      ValueError, and changes nothing, for a value out of range, for a pattern that matches no layer or one
                that is not linear, naming near ones, and for a layer that has an adapter; TypeError for targets that
                are no text
    """
    check_number("dropout", dropout, 0, below=1)
    check_choice("init", init, get_args(Init))
    found = matching(model, targets)
    check_rank(found, rank)
    check_number("alpha", alpha, above=0)
    if init == "svd":
        for name, layer in found.items():
            check_finite(f"weight of {name}", layer.weight)
    for name, layer in found.items():
        model.set_submodule(name, LoraLinear(layer, rank, alpha, dropout, init, generator))
    freeze(model)
    return list(found)


def merge_lora(model: nn.Module) -> dict[str, LoraLinear]:
    """Replace each layer with an adapter by a plain linear layer of weight W + scale B A, in place.

    returns   the layers replaced, by name, for `unmerge_lora`; drop them, and their memory is free
    raises    ValueError for a model without adapters
    """
    found = adapted(model)
    for name, layer in found.items():
        model.set_submodule(name, layer.merged())
    return found


def unmerge_lora(model: nn.Module, merged: Mapping[str, LoraLinear]) -> None:
    """Put back, to the last bit, the layers that `merge_lora` replaced.

    raises   ValueError, naming it, and changes nothing, for a layer that is not where it was, or of another shape
    """
    for name, layer in merged.items():
        try:
            here = model.get_submodule(name)
        except AttributeError:
            here = None
        if type(here) is not nn.Linear or here.weight.shape != layer.weight.shape:
            raise ValueError(f"{name}: no merged layer of this shape is there")
    for name, layer in merged.items():
        model.set_submodule(name, layer.train(model.get_submodule(name).training))


def adapters(model: nn.Module) -> Iterator[tuple[str, LoraLinear]]:
    """Layers with an adapter, by name, in the model's order."""
    return ((name, layer) for name, layer in model.named_modules() if isinstance(layer, LoraLinear))


def adapted(model: nn.Module) -> dict[str, LoraLinear]:
    """Layers with an adapter, by name, of a model that has at least one.

    raises   ValueError, naming its class, for any other
    """
    if found := dict(adapters(model)):
        return found
    raise ValueError(f"{type(model).__name__} has no adapters: add_lora makes them")


def freeze(model: nn.Module) -> None:
    """Freeze all weights but those of adapters."""
    own = {id(weight) for _, layer in adapters(model) for weight in (layer.A, layer.B)}
    for weight in model.parameters():
        weight.requires_grad_(id(weight) in own)


def trainable_report(model: nn.Module) -> Trainable:
    """Count the parameters that learn, and the memory that they cost beside the parameters."""
    weights = list(model.parameters())
    learning = [weight for weight in weights if weight.requires_grad]
    gradient = sum(weight.nbytes for weight in learning)
    return Trainable(sum(x.numel() for x in learning), sum(x.numel() for x in weights), gradient, 2 * gradient)


def matching(model: nn.Module, targets: str) -> dict[str, nn.Linear]:
    """Linear layers whose full name matches a regular expression, in the model's order.

    raises   ValueError, as `add_lora` says; TypeError for what is no expression, such as a list of names
    """
    check_kind("targets", targets, str)
    try:
        pattern = re.compile(targets)
    except re.error as error:
        raise ValueError(f"targets = {targets!r}: no regular expression ({error})") from None
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
        if type(layer) is not nn.Linear:  # a subclass may use its weight without being called
            raise ValueError(f"{name} is of type {type(layer).__name__}, not Linear; {_near(name, linear)}")
    return found


def check_rank(layers: Mapping[str, nn.Linear], rank: int) -> None:
    """Accept a rank that the matrices of all layers can have.

    raises   ValueError, naming the layer, for what is no integer, below 1, or above both sizes of a matrix
    """
    for name, layer in layers.items():
        shape = tuple(layer.weight.shape)
        check_count("rank", rank, 1, min(shape), where=f" in {name}, of shape {shape}")


def _near(name: str, known: list[str]) -> str:
    """A hint: the linear layers whose names are nearest."""
    last: dict[str, str] = {}  # one of a kind says enough
    for one in known:
        last.setdefault(one.rpartition(".")[2], one)
    word = re.sub(r"\W+", " ", name).split()[-1:] or [""]
    close = difflib.get_close_matches(word[0], last, n=SHOWN, cutoff=0.5) or list(last)[:SHOWN]
    return f"linear ones are {', '.join(last[one] for one in close)}" if close else "there is no linear layer"
