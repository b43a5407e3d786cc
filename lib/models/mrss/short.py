"""A classifier of sequences whose tokens a stem makes fewer: the control of all multi-resolution forms."""

from dataclasses import replace

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from lib.models.checks import check_choice, check_device, check_shape, check_tokens
from lib.models.mrss.config import STEMS, MrssConfig
from lib.models.ssm.mamba import POOLINGS, MambaClassifier


class ShortClassifier(nn.Module):
    """A stem, which makes one token of every r, and the baseline's classifier of what comes out.

    Tokens of a vocabulary are embedded before the stem, and its tokens are projected to D.

    config            whose variant is a row of `lib.names.STEMS`
    inputs, classes   as `MambaClassifier`'s
    pooling           "mean" or "last"
    raises            ValueError, quoting what was given, for pooling "none", for a size below 1, where inputs and
                      vocabulary do not fit, and for a sequence shorter than r
    """

    def __init__(
        self,
        config: MrssConfig,
        inputs: int | None,
        classes: int,
        *,
        pooling: str = "mean",
        generator: torch.Generator | None = None,
    ):
        super().__init__()
        where = f": after {config.variant!r}, there is one answer a sequence; one at every token needs all tokens"
        check_choice("pooling", pooling, POOLINGS)
        if pooling == "none":
            raise ValueError(f"pooling = 'none': mean, last is needed{where}")
        sizes = config.mamba
        if (inputs is None) == (sizes.vocabulary is None):
            raise ValueError(f"inputs = {inputs}, vocabulary = {sizes.vocabulary}: exactly one of them is needed")
        self.config, self.inputs, self.pooling = config, inputs, pooling
        self.embedding = None
        if sizes.vocabulary is not None:
            weight = torch.empty(sizes.vocabulary, sizes.dim).normal_(std=0.02, generator=generator)
            self.embedding = nn.Embedding(sizes.vocabulary, sizes.dim, _weight=weight)
        width = STEMS[config.variant].features(sizes.dim if inputs is None else inputs, config.factor)
        sizes = replace(sizes, vocabulary=None)
        self.classifier = MambaClassifier(sizes, width, classes, pooling=pooling, generator=generator)

    def forward(self, x: Float[Tensor, "B T F"] | Int[Tensor, "B T"]) -> Float[Tensor, "B classes"]:
        """Scores of the classes; tokens after the last complete chunk of r are not seen."""
        if self.embedding is None:
            check_shape("input", x, "B", "T", self.inputs, T=self.config.factor)
        else:
            check_tokens(x, self.config.mamba.vocabulary, "B", "T", T=self.config.factor)
            check_device("tokens", x, self.embedding.weight)
            x = self.embedding(x)
        return self.classifier(STEMS[self.config.variant].shortened(x, self.config.factor))
