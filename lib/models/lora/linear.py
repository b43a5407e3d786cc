"""A linear layer with a low-rank adapter: W x + scale B A x, whether it is called or its weight is read.

Other kinds of adapters are subclasses, a file each in `lib.models.lora.kinds`. Symbols: `lib/__init__.py`. Source: Hu
et al. (2022), https://arxiv.org/abs/2106.09685.
"""

import copy
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from types import MappingProxyType
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from lib.models.checks import check_kind


class LoraLinear(nn.Module):
    """A frozen linear layer with a low-rank adapter; what learns are the parameters of its own.

    base    the layer
    A, B    (rank, in) and (out, rank); float32 over a base of half precision
    scale   of the product: alpha / rank
    read    whether a model has read the weight, instead of calling the layer or beside it

    A kind of its own says what differs: `scaled`, `started`, `forward` and `summed`, and

    KEYS    its parameters by the names that peft's files have for them
    FIELDS  of peft's configuration by which peft knows the kind
    SHARES  of the learning rate, for parameters whose rate is not that of the rest
    MOVES   whether the frozen weights begin as others
    """

    KEYS: ClassVar[Mapping[str, str]] = MappingProxyType({"A": "lora_A.weight", "B": "lora_B.weight"})
    FIELDS: ClassVar[Mapping[str, object]] = MappingProxyType({})
    SHARES: ClassVar[Mapping[str, float]] = MappingProxyType({})
    MOVES: ClassVar[bool] = False

    def __init__(
        self,
        base: nn.Linear,
        rank: int,
        alpha: float,
        dropout: float = 0.0,
        generator: torch.Generator | None = None,
    ):
        super().__init__()
        self.base, self.rank, self.alpha, self.scale = base, rank, alpha, self.scaled(rank, alpha)
        self.dropout, self.read = nn.Dropout(dropout), False
        weight = base.weight.detach()
        started = self.started(weight.to(torch.promote_types(weight.dtype, torch.float32)), generator)
        for name, value in started.items():
            self.register_parameter(name, nn.Parameter(value.to(weight.device).contiguous()))
        self.train(base.training)

    @staticmethod
    def check(name: str, weight: Float[Tensor, "out into"]) -> None:
        """Accept the weight of a layer of this name; LoRA takes any.

        raises   ValueError, naming the layer, for a weight from which a kind cannot begin
        """

    @staticmethod
    def scaled(rank: int, alpha: float) -> float:
        """Scale of the product of a rank."""
        return alpha / rank

    def started(self, weight: Float[Tensor, "out into"], generator: torch.Generator | None) -> dict[str, Tensor]:
        """Values that the kind's own parameters begin with; the weight is in float32 at least."""
        out, into = weight.shape
        bound = into**-0.5  # what nn.Linear begins with
        drawn = {"dtype": weight.dtype, "device": "cpu"}  # the same on every machine
        A = torch.empty(self.rank, into, **drawn).uniform_(-bound, bound, generator=generator)
        return {"A": A, "B": torch.zeros(out, self.rank, **drawn)}

    @property
    def weight(self) -> Tensor:
        """The adapted weight in W's dtype: some models read a layer's weight and never call it.

        Dropout is not in it. It is made at every reading: what is to be written goes to `base.weight`.
        """
        if not torch.compiler.is_compiling():
            self.read = True
        return self._rounded()

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
        layer.weight = nn.Parameter(self._rounded().detach(), requires_grad=False)
        layer.bias = self.base.bias
        return layer

    def plain(self) -> tuple[int, dict[str, Tensor]]:
        """Rank and parameters of the adapter that a file holds: one of the same effect on the original weight."""
        return self.rank, {name: getattr(self, name) for name in self.KEYS}

    def product(self) -> Float[Tensor, "out into"]:
        """The matrix scale B A, in float32 at least, under autocast too."""
        precise, device = torch.promote_types(self.A.dtype, torch.float32), self.A.device.type
        mixed = torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device)
        with torch.autocast(device, enabled=False) if mixed else nullcontext():
            return (self.B.to(precise) @ self.A.to(precise)) * self.scale

    def summed(self) -> Float[Tensor, "out into"]:
        """The adapted weight, W + scale B A, in float32 at least."""
        return self.base.weight + self.product()

    def _rounded(self) -> Tensor:
        return self.summed().to(self.base.weight.dtype)


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
