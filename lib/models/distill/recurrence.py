"""A bank of damped modes as it is deployed: nothing is learned, and nothing is computed twice.

Symbols: `lib/__init__.py`.
"""

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from lib.kernels import modes
from lib.kernels.autocast import single
from lib.models.checks import check_kind, check_tensor
from lib.models.distill.modes import Modes, check_stream
from lib.models.ssm.fft_convolution import Precise


class Recurrence(Precise):
    """A bank of damped modes without gradients: sequences and single tokens go through the same fused loop.

    It stays in single precision where a model is cast to half precision: a slow mode, rounded, would not decay. Outputs
    are in the input's dtype.

    raises   TypeError for what is no `Modes`; ValueError, quoting it, for an input or a state of another shape or dtype
    """

    def __init__(self, bank: Modes):
        super().__init__()
        check_kind("bank", bank, Modes)
        # As pairs: `.to()` casts no complex buffer.
        self.register_buffer("pairs", torch.view_as_real(bank.decay().detach()))
        for name, held in {"C": bank.C, "skip": bank.skip}.items():
            self.register_buffer(name, held.detach().to(single(held.dtype), copy=True))

    def forward(self, x: Float[Tensor, "B T D"]) -> Float[Tensor, "B T D"]:
        """Filter T tokens from a state of zeros."""
        return self.recurrent(x)[0]

    def recurrent(
        self, x: Float[Tensor, "B T D"], state: Complex[Tensor, "B D M"] | None = None
    ) -> tuple[Float[Tensor, "B T D"], Complex[Tensor, "B D M"]]:
        """Filter T tokens from a state of zeros or that of an earlier call; returns outputs and the new state."""
        check_stream(x, "B", "T", modes=self.C, skip=self.skip, state=state)
        return self._run(x, self.initial_state(x.shape[0]) if state is None else state)

    def step(
        self, x: Float[Tensor, "B D"], state: Complex[Tensor, "B D M"]
    ) -> tuple[Float[Tensor, "B D"], Complex[Tensor, "B D M"]]:
        """Filter one token; returns its output and the new state."""
        decay, weight, skip = self._buffers.values()  # an attribute of a module costs as much as a dozen channels
        if modes.can_step(x, decay, weight, skip, state):
            return modes.step(x, decay, weight, skip, state)
        check_tensor("state", state)
        check_stream(x, "B", modes=self.C, skip=self.skip, state=state)
        y, state = self._run(x.unsqueeze(1), state)
        return y.squeeze(1), state

    def initial_state(
        self, batch: int, device: str | torch.device | None = None, dtype: torch.dtype | None = None
    ) -> Complex[Tensor, "B D M"]:
        """The state before the first token: zeros, a complex number per mode."""
        dtype = torch.promote_types(dtype or self.skip.dtype, torch.complex64)
        return torch.zeros(batch, *self.C.shape[:2], dtype=dtype, device=device or self.C.device)

    def _run(self, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        return modes.recurrence(x, torch.view_as_complex(self.pairs), torch.view_as_complex(self.C), self.skip, state)
