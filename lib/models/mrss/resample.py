"""Causal changes of a sequence's rate: one token for every r, and r tokens for every one.

Chunk i holds tokens i r .. i r + r - 1. What is computed from it may be used from its last token on. There the r
outputs begin that stand for it; they last until the next chunk is complete.
Symbols: `lib/__init__.py`; n = T // r complete chunks.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F


def chunks(x: Float[Tensor, "B T D"], factor: int) -> Float[Tensor, "B n r D"]:
    """Complete chunks of r tokens of a sequence, as a view; tokens after the last chunk are left out."""
    count = x.shape[1] // factor
    return x[:, : count * factor].reshape(x.shape[0], count, factor, x.shape[2])


def delayed(phases: Float[Tensor, "B n r D"], length: int) -> Float[Tensor, "B T D"]:
    """Lay out the outputs of n chunks in time, each from the last token of its chunk on; zeros before the first."""
    return F.pad(phases.flatten(1, 2), (0, 0, phases.shape[2] - 1, 0))[:, :length]


class Downsample(nn.Module):
    """A downsampler, one token for every r: each channel filters the 2r tokens that end with a chunk.

    dim, factor  D, r >= 1
    """

    def __init__(self, dim: int, factor: int, *, generator: torch.Generator | None = None):
        super().__init__()
        bound = (2 * factor) ** -0.5
        self.taps = nn.Parameter(torch.empty(2, factor, dim).uniform_(-bound, bound, generator=generator))

    def forward(self, x: Float[Tensor, "B n r D"]) -> Float[Tensor, "B n D"]:
        """One token per chunk, from it and the chunk before it."""
        now, later = self.parts(x)
        return now + F.pad(later, (0, 0, 1, 0))[:, :-1] if x.shape[1] else now

    def parts(self, x: Float[Tensor, "*B r D"]) -> tuple[Float[Tensor, "*B D"], Float[Tensor, "*B D"]]:
        """Parts of a chunk in its own token and in the next one."""
        return torch.einsum("...rd,rd->...d", x, self.taps[0]), torch.einsum("...rd,rd->...d", x, self.taps[1])


class Upsample(nn.Module):
    """An upsampler, r tokens for every one: per channel a weight for each of r phases, as in a sub-pixel layer.

    dim, factor  D, r >= 1
    source       Shi et al. (2016), in one dimension; channels are mixed by the projection that follows
    """

    def __init__(self, dim: int, factor: int, *, generator: torch.Generator | None = None):
        super().__init__()
        self.phases = nn.Parameter(torch.empty(factor, dim).normal_(generator=generator))

    def forward(self, x: Float[Tensor, "*B D"]) -> Float[Tensor, "*B r D"]:
        """One token in each of r phases."""
        return x.unsqueeze(-2) * self.phases
