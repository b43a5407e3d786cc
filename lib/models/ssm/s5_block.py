"""S5 as a mixer: its kernel is dense, L taps for every pair of channels. Symbols: `lib/__init__.py`."""

import torch
from jaxtyping import Complex, Float
from torch import Tensor, nn
from torch.nn import functional as F

from lib.models.checks import check_precision, check_shape
from lib.models.ssm.mamba_block import fresh
from lib.models.ssm.s5 import S5


class S5Block(nn.Module):
    """S5, GELU, and a gate of what comes out of it by itself; without norm and residual.

    dim      D
    options  of the S5: `states`, `dt_min`, `dt_max`
    raises   ValueError, quoting its shape or dtype, for an input or a state of another
    source   the layer of S5, Smith, Warrington and Linderman (2023), https://arxiv.org/abs/2208.04933
    """

    def __init__(self, dim: int, *, generator: torch.Generator | None = None, **options):
        super().__init__()
        self.s5 = S5(dim, generator=generator, **options)
        self.gate = fresh(nn.Linear, dim, dim, generator=generator)

    def forward(self, x: Float[Tensor, "B T D"]) -> Float[Tensor, "B T D"]:
        """Mix T tokens, all at once."""
        check_shape("input", x, "B", "T", self.gate.in_features)
        check_precision("input", x, self.gate)
        return self._gated(self.s5(x))

    def step(
        self, x: Float[Tensor, "B D"], state: Complex[Tensor, "B M"]
    ) -> tuple[Float[Tensor, "B D"], Complex[Tensor, "B M"]]:
        """Mix one token, by the recurrence; the state given does not change."""
        check_shape("input", x, "B", self.gate.in_features)
        check_precision("input", x, self.gate)
        y, state = self.s5.step(x, state)
        return self._gated(y), state

    def initial_state(
        self, batch: int, device: str | torch.device | None = None, dtype: torch.dtype | None = None
    ) -> Complex[Tensor, "B M"]:
        """The state before the first token: zeros."""
        return self.s5.initial_state(batch, device, dtype)

    def _gated(self, y: Float[Tensor, "*B D"]) -> Float[Tensor, "*B D"]:
        y = F.gelu(y)
        return y * self.gate(y).sigmoid()
