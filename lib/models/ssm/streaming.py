"""The one contract of everything that runs token after token: layers, mixers, backbones, whole models.

    state = model.initial_state(batch)
    for token in x.unbind(1):
        y, state = model.step(token, state)

Symbols: `lib/__init__.py`.
"""

from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor


@runtime_checkable
class Streaming(Protocol):
    """A module that runs over a sequence (`forward`) and over one token after another (`step`), with one result.

    agreement   the outputs of `step`, token after token from `initial_state`, are those of `forward` before any
                pooling; so `forward` is causal
    state       a value: `step` returns a new one and leaves the one given as it is, so that any number of
                continuations may start from it; what is in it is the model's own business
    refusals    TypeError for a state of another kind than `initial_state` makes, ValueError, quoting its shape, for one
                of another batch or of other sizes
    """

    def forward(self, x: Tensor, /) -> Tensor:
        """Outputs (B, T, ...) of a sequence (B, T, ...), which starts from the initial state."""

    def step(self, x: Tensor, /, state: Any) -> tuple[Tensor, Any]:
        """The output (B, ...) at one token (B, ...), and the state after it."""

    def initial_state(
        self, batch: int, device: str | torch.device | None = None, dtype: torch.dtype | None = None
    ) -> Any:
        """The state before the first token, zeros.

        device, dtype   the weights' own where left out. A recurrence is carried in single precision at least, and in
                        complex numbers where its modes oscillate
        """
