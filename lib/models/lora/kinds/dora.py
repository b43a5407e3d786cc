"""Directions and lengths of a weight's rows, adapted apart. Source: Liu et al. (2024), https://arxiv.org/abs/2402.09353."""

from types import MappingProxyType

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from lib.models.checks import check_finite
from lib.models.lora.linear import LoraLinear


class Decomposed(LoraLinear):
    """A linear layer of weight m V / |V|, V = W + scale B A, where |V| are the lengths of the rows of V.

    magnitude   m, (out,): begins as the lengths of W's rows, so that the weight begins as W

    |V| counts as a constant in gradients (section 4.3 of the paper). In training, dropout acts on the input of all that
    is added to W x.
    """

    KEYS = MappingProxyType({**LoraLinear.KEYS, "magnitude": "lora_magnitude_vector"})
    FIELDS = MappingProxyType({"use_dora": True})

    @staticmethod
    def check(name: str, weight: Float[Tensor, "out into"]) -> None:
        """Accept a weight of finite rows, none of which is zero.

        raises   ValueError, naming the layer and the row
        """
        check_finite(f"weight of {name}", weight)
        if len(zero := (weight == 0).all(dim=1).nonzero()):
            raise ValueError(
                f"{name}: row {zero[0].item()} of its weight is zero and has no direction, which DoRA needs"
            )

    def started(self, weight: Float[Tensor, "out into"], generator: torch.Generator | None) -> dict[str, Tensor]:
        """LoRA's values, and the lengths of the weight's rows."""
        return super().started(weight, generator) | {"magnitude": _lengths(weight)}

    def forward(self, x: Float[Tensor, "*batch into"]) -> Float[Tensor, "*batch out"]:
        """The frozen layer's output, and what the adapter adds: nothing where m is |V| and B is zero."""
        y = self.base(x)
        seen = self.dropout(x)
        frozen = F.linear(seen, self.base.weight) if self.training and self.dropout.p else y
        if frozen is y and self.base.bias is not None:
            frozen = y - self.base.bias
        low = F.linear(F.linear(seen.to(self.A.dtype), self.A), self.B)
        factor = self._factor(self._directions())
        return (y + ((factor - 1) * frozen + factor * low * self.scale)).to(y.dtype)

    def summed(self) -> Float[Tensor, "out into"]:
        """The adapted weight, m V / |V|, in float32 at least."""
        directions = self._directions()
        return self._factor(directions)[:, None] * directions

    def _directions(self) -> Float[Tensor, "out into"]:
        return self.base.weight + self.product()

    def _factor(self, directions: Float[Tensor, "out into"]) -> Float[Tensor, " out"]:
        return self.magnitude / _lengths(directions.detach())


def _lengths(weight: Float[Tensor, "out into"]) -> Float[Tensor, " out"]:
    return torch.linalg.vector_norm(weight, dim=1)


ADAPTER = Decomposed
