"""S4D as a mixer: what Mamba's block is compared with, and what kernel distillation is done to.

Symbols: `lib/__init__.py`.
"""

import torch
from jaxtyping import Float, Inexact
from torch import Tensor, nn
from torch.nn import functional as F

from lib.models.checks import check_precision, check_shape
from lib.models.ssm.fft_convolution import Window
from lib.models.ssm.mamba_block import fresh
from lib.models.ssm.s4d import S4D


class S4DBlock(nn.Module):
    """S4D, GELU, and a linear layer from D to 2 D whose one half gates the other; without norm and residual.

    dim      D
    options  of the S4D: `states`, `init`, `dt_min`, `dt_max`, `discretisation`
    raises   ValueError, quoting its shape or dtype, for an input or a state of another
    source   the block of S4, Gu, Goel and Ré (2022), https://arxiv.org/abs/2111.00396; the gate, Dauphin et al. (2017)
    """

    def __init__(self, dim: int, *, generator: torch.Generator | None = None, **options):
        super().__init__()
        self.s4d = S4D(dim, generator=generator, **options)
        self.out_proj = fresh(nn.Linear, dim, 2 * dim, generator=generator)

    def forward(self, x: Float[Tensor, "B T D"]) -> Float[Tensor, "B T D"]:
        """Mix T tokens, by the convolution."""
        check_shape("input", x, "B", "T", self.out_proj.in_features)
        check_precision("input", x, self.out_proj)
        return self._gated(self.s4d(x))

    def step(
        self, x: Float[Tensor, "B D"], state: Inexact[Tensor, "B D M"] | Window
    ) -> tuple[Float[Tensor, "B D"], Inexact[Tensor, "B D M"] | Window]:
        """Mix one token, by the recurrence; the state given does not change."""
        check_shape("input", x, "B", self.out_proj.in_features)
        check_precision("input", x, self.out_proj)
        y, state = self.s4d.step(x, state)
        return self._gated(y), state

    def initial_state(
        self, batch: int, device: str | torch.device | None = None, dtype: torch.dtype | None = None
    ) -> Inexact[Tensor, "B D M"] | Window:
        """The state before the first token, of the S4D or of the convolution that it was deployed as: zeros."""
        return self.s4d.initial_state(batch, device, dtype)

    def _gated(self, y: Float[Tensor, "*B D"]) -> Float[Tensor, "*B D"]:
        return F.glu(self.out_proj(F.gelu(y)), dim=-1)
