"""A small convolutional network, the reference beside multi-resolution models: no state, a window of 1,365 tokens.

Source: dilated causal convolutions, van den Oord et al. (2016) and Bai et al. (2018).
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from lib.models.checks import check_choice, check_count, check_device, check_shape, check_tokens
from lib.models.ssm.mamba_block import fresh

TAPS, SPREAD = 5, 4  # of a convolution; its dilation is so many times that of the one before
POOLINGS = ("mean", "none")


class CausalBlock(nn.Module):
    """A residual block: norm, dilated causal convolution, GELU, and a linear layer across channels."""

    def __init__(self, dim: int, dilation: int, *, generator: torch.Generator | None = None):
        super().__init__()
        self.reach = dilation * (TAPS - 1)
        self.norm = nn.RMSNorm(dim)
        self.convolution = fresh(nn.Conv1d, dim, dim, TAPS, dilation=dilation, generator=generator)
        self.mix = fresh(nn.Linear, dim, dim, generator=generator)

    def forward(self, x: Float[Tensor, "B T D"]) -> Float[Tensor, "B T D"]:
        """The input plus what the block makes of each token and those before."""
        seen = F.pad(self.norm(x).mT, (self.reach, 0))
        return x + self.mix(F.gelu(self.convolution(seen).mT))


class CausalCnn(nn.Module):
    """A classifier of sequences, or of each token, by residual blocks of causal convolutions.

    With the sizes given here it has 0.13 M parameters, as the Mamba of 64 channels and 4 layers that it stands beside.

    inputs       features per token; None for tokens below a vocabulary
    pooling      "mean" for one answer per sequence, "none" for one per token
    dim, blocks  channels, and blocks of dilations 1, 4, 16, ...
    raises       ValueError, quoting what was given, for a size below 1, for another pooling, and where inputs and
                 vocabulary do not fit
    """

    def __init__(
        self,
        inputs: int | None,
        vocabulary: int | None,
        classes: int,
        *,
        pooling: str = "mean",
        dim: int = 64,
        blocks: int = 5,
        generator: torch.Generator | None = None,
    ):
        super().__init__()
        if (inputs is None) == (vocabulary is None):
            raise ValueError(f"inputs = {inputs}, vocabulary = {vocabulary}: exactly one of them is needed")
        check_choice("pooling", pooling, POOLINGS)
        for name, size in {"classes": classes, "dim": dim, "blocks": blocks}.items():
            check_count(name, size)
        self.inputs, self.vocabulary, self.pooling = inputs, vocabulary, pooling
        if inputs is None:
            weight = torch.empty(vocabulary, dim).normal_(generator=generator)
            self.project = nn.Embedding(vocabulary, dim, _weight=weight)
        else:
            self.project = fresh(nn.Linear, inputs, dim, generator=generator)
        self.blocks = nn.Sequential(*(CausalBlock(dim, SPREAD**k, generator=generator) for k in range(blocks)))
        self.norm = nn.RMSNorm(dim)
        self.head = fresh(nn.Linear, dim, classes, generator=generator)

    def forward(self, x: Float[Tensor, "B T F"] | Int[Tensor, "B T"]) -> Float[Tensor, "B *T classes"]:
        """Scores of the classes: of a sequence, or, with pooling "none", of each token."""
        if self.inputs is None:
            check_tokens(x, self.vocabulary, "B", "T")
        else:
            check_shape("input", x, "B", "T", self.inputs)
        check_device("input", x, self.head.weight)
        features = self.norm(self.blocks(self.project(x)))
        return self.head(features.mean(1) if self.pooling == "mean" else features)
