"""LoRA that begins from a weight's singular vectors. Source: Meng et al. (2024), https://arxiv.org/abs/2404.02948."""

from types import MappingProxyType
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lib.models.checks import check_finite
from lib.models.lora.linear import LoraLinear


class Principal(LoraLinear):
    """LoRA whose product begins as the best matrix of its rank for W, which leaves the frozen weight.

    start_A, start_B   A and B as they began

    The sum is W at the start but for rounding. A file of adapters cannot hold the frozen weight that has changed: what
    was learned is written as the plain adapter of twice the rank that it equals, B A less what B A was at the start.
    """

    FIELDS = MappingProxyType({"init_lora_weights": "pissa"})
    MOVES: ClassVar[bool] = True

    @staticmethod
    def check(name: str, weight: Float[Tensor, "out into"]) -> None:
        """Accept a finite weight.

        raises   ValueError, naming the layer
        """
        check_finite(f"weight of {name}", weight)

    def started(self, weight: Float[Tensor, "out into"], generator: torch.Generator | None) -> dict[str, Tensor]:
        """Factors of the largest singular values, which are taken from the frozen weight."""
        left, values, right = torch.linalg.svd(weight, full_matrices=False)
        root = (values[: self.rank] / self.scale).sqrt()
        A, B = root[:, None] * right[: self.rank], left[:, : self.rank] * root
        rest = (weight - self.scale * (B @ A)).to(self.base.weight.dtype)
        self.base.weight = nn.Parameter(rest, requires_grad=False)
        self.register_buffer("start_A", A.clone())
        self.register_buffer("start_B", B.clone())
        return {"A": A, "B": B}

    def plain(self) -> tuple[int, dict[str, Tensor]]:
        """Twice the rank, and the factors of B A minus what B A was at the start."""
        A, B = torch.cat([self.A, self.start_A]), torch.cat([self.B, -self.start_B], dim=1)
        return 2 * self.rank, {"A": A, "B": B}


ADAPTER = Principal
