"""A linear layer with a low-rank adapter: W x + scale B A x, whether it is called or its weight is read.

Symbols: `lib/__init__.py`. Source: Hu et al. (2022), https://arxiv.org/abs/2106.09685; the start from singular vectors,
Meng et al. (2024), https://arxiv.org/abs/2404.02948.
"""

import copy
from collections.abc import Iterator
from contextlib import nullcontext
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from lib.models.checks import check_kind

Init = Literal["zero", "svd"]


class LoraLinear(nn.Module):
    """A frozen linear layer with a low-rank adapter.

    base              the layer; from an SVD start on, its weight is what the adapter began without
    A, B              (rank, in) and (out, rank); float32 over a base of half precision
    scale             alpha / rank
    start_A, start_B  of an SVD start alone: A and B as they began
    read              whether a model has read the weight, instead of calling the layer or beside it
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
            drawn = {"dtype": dtype, "device": "cpu"}  # the same on every machine
            A = torch.empty(rank, base.in_features, **drawn).uniform_(-bound, bound, generator=generator)
            B = torch.zeros(base.out_features, rank, **drawn)
        self.init, self.read = init, False
        self.A, self.B = (nn.Parameter(x.to(weight.device).contiguous()) for x in (A, B))
        self.train(base.training)

    @property
    def weight(self) -> Tensor:
        """W + scale B A in W's dtype: some models read a layer's weight and never call it.

        Dropout is not in it. It is made at every reading: what is to be written goes to `base.weight`.
        """
        if not torch.compiler.is_compiling():
            self.read = True
        return self._sum()

    @property
    def bias(self) -> Tensor | None:
        """The frozen bias."""
        return self.base.bias

    @property
    def in_features(self) -> int:
        """Size of an input."""
        return self.base.in_features

    @property
    def out_features(self) -> int:
        """Size of an output."""
        return self.base.out_features

    def forward(self, x: Float[Tensor, "*batch into"]) -> Float[Tensor, "*batch out"]:
        """The frozen layer's output plus the adapter's."""
        y = self.base(x)
        low = F.linear(self.dropout(x.to(self.A.dtype)), self.A)
        return (y + F.linear(low, self.B) * self.scale).to(y.dtype)

    def merged(self) -> nn.Linear:
        """Make one plain layer that computes the same, at the cost of the original one."""
        layer = nn.Linear(1, 1, bias=False, device="meta").train(self.training)
        layer.in_features, layer.out_features = self.base.in_features, self.base.out_features
        layer.weight = nn.Parameter(self._sum().detach(), requires_grad=False)
        layer.bias = self.base.bias
        return layer

    def delta(self) -> Float[Tensor, "out into"]:
        """What the adapter adds to the weight, scale B A; in float32 at least, under autocast too."""
        precise, device = torch.promote_types(self.A.dtype, torch.float32), self.A.device.type
        mixed = torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device)
        with torch.autocast(device, enabled=False) if mixed else nullcontext():
            return (self.B.to(precise) @ self.A.to(precise)) * self.scale

    def _sum(self) -> Tensor:
        return (self.base.weight + self.delta()).to(self.base.weight.dtype)


def apart(layer: nn.Linear) -> nn.Linear:
    """Make a layer of the same weights: what becomes of the one leaves the other as it is."""
    other = copy.copy(layer)
    other._parameters = dict(layer._parameters)
    return other


def become(layer: nn.Module, other: nn.Module) -> None:
    """Let a layer be what another one is, state and all, from now on.

    Whoever holds the layer has the other one: a second list, a bound method. A name put in its place would miss them.
    """
    object.__setattr__(layer, "__class__", type(other))
    object.__setattr__(layer, "__dict__", other.__dict__)


def adapters(model: nn.Module) -> Iterator[tuple[str, LoraLinear]]:
    """Layers with an adapter, by name, in the model's order."""
    return ((name, layer) for name, layer in model.named_modules() if isinstance(layer, LoraLinear))


def adapted(model: nn.Module) -> dict[str, LoraLinear]:
    """Layers with an adapter, by name, of a model that has at least one.

    raises   ValueError, naming its class, for any other; TypeError for what is no model
    """
    check_kind("model", model, nn.Module)
    if found := dict(adapters(model)):
        return found
    raise ValueError(f"{type(model).__name__} has no adapters: add_lora makes them")
