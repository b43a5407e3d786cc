"""Mixers of tokens on one another: a norm before and a residual around each.

A mixer is a module (B, T, D) -> (B, T, D) that streams, see `lib.models.ssm.streaming`.
"""

from collections.abc import Callable, Iterable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lib.models.checks import check_kind, check_many


class Residual(nn.ModuleList):
    """Mixers one after another, x + mixer(norm(x)) each; the identity where there is none."""

    def __init__(self, dim: int, mixers: Iterable[nn.Module], norm_eps: float = 1e-5):
        super().__init__(nn.ModuleDict({"norm": nn.RMSNorm(dim, norm_eps), "mixer": mixer}) for mixer in mixers)

    def forward(self, x: Float[Tensor, "B T D"]) -> Float[Tensor, "B T D"]:
        """Mix T tokens by every mixer in turn."""
        return self.run(lambda mixer, y, _: (mixer(y), None), x, [None] * len(self))[0]

    def step(self, x: Float[Tensor, "B D"], state: Sequence) -> tuple[Float[Tensor, "B D"], tuple]:
        """Mix one token by every mixer in turn; returns the states after it, and the states given do not change."""
        return self.run(lambda mixer, y, before: mixer.step(y, before), x, state)

    def initial_state(
        self, batch: int, device: str | torch.device | None = None, dtype: torch.dtype | None = None
    ) -> tuple:
        """The states of all mixers before the first token."""
        return tuple(layer["mixer"].initial_state(batch, device, dtype) for layer in self)

    def run(self, mix: Callable, x: Tensor, state: Sequence) -> tuple[Tensor, tuple]:
        """Apply `mix(mixer, x, state) -> x, state` to every mixer in turn.

        raises   TypeError for a state that is no sequence; ValueError where it has not one state per mixer
        """
        check_kind("state", state, (tuple, list), "tuple of one state per block")
        check_many("state", state, len(self), "blocks")
        after = []
        for layer, before in zip(self, state, strict=True):
            y, new = mix(layer["mixer"], layer["norm"](x), before)
            x = x + y
            after.append(new)
        return x, tuple(after)
