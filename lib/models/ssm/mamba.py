"""Mamba models: blocks on one another, with a language model or a classifier on top.

Symbols: `lib/__init__.py`. Source: Gu and Dao (2023). Weights of transformers: `lib.models.ssm.mamba_weights`.
"""

from collections.abc import Iterable
from functools import partial

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from lib.models.checks import (
    check_choice,
    check_count,
    check_device,
    check_number,
    check_precision,
    check_shape,
    check_tokens,
)
from lib.models.ssm.accelerate import accelerate_transformers as accelerate_transformers
from lib.models.ssm.mamba_block import MambaBlock, MambaConfig, fresh
from lib.models.ssm.mamba_block import MambaState as MambaState
from lib.models.ssm.residual import Residual

POOLINGS = ("mean", "last", "none")

States = tuple  # of a backbone: what its mixers carry, one each; of a Mamba, MambaState


class MambaBackbone(nn.Module):
    """Blocks with a norm before and a residual around each, and a last norm; tokens are embedded first.

    Takes tokens (B, T) where the config has a vocabulary, numbers (B, T, D) where it has none.

    mixers   instead of the config's blocks: modules that stream, see `lib.models.ssm.streaming`. Only MambaBlock can
             go on from a state in `forward`
    raises   ValueError, quoting them, for tokens outside the vocabulary (on a CPU: elsewhere it would cost a wait),
             and for an input or a state of another shape or of another number of blocks
    """

    def __init__(
        self,
        config: MambaConfig,
        mixers: Iterable[nn.Module] | None = None,
        *,
        generator: torch.Generator | None = None,
    ):
        super().__init__()
        self.config = config
        self.embedding = None
        if config.vocabulary is not None:
            weight = torch.empty(config.vocabulary, config.dim).normal_(std=0.02, generator=generator)
            self.embedding = nn.Embedding(config.vocabulary, config.dim, _weight=weight)
        if mixers is None:
            mixers = (MambaBlock(config, generator=generator) for _ in range(config.layers))
        self.layers = Residual(config.dim, mixers, config.norm_eps)
        self.norm = nn.RMSNorm(config.dim, config.norm_eps)

    def forward(
        self,
        x: Float[Tensor, "B T D"] | Int[Tensor, "B T"],
        state: States | None = None,
        return_state: bool = False,
        seq_idx: Tensor | None = None,
    ) -> Float[Tensor, "B T D"] | tuple[Float[Tensor, "B T D"], States]:
        """Features of T tokens that follow on a state; with `return_state`, also the state after them.

        seq_idx   (B, T), numbers of the sequences that share a row, see `lib.models.ssm.lengths`: none sees another.
                  A state is that of each row's first sequence, the one returned that of its last
        """
        x = self._embedded(x, "B", "T")
        if state is None and not return_state and seq_idx is None:
            return self.norm(self.layers(x))
        if other := [type(layer["mixer"]).__name__ for layer in self.layers if type(layer["mixer"]) is not MambaBlock]:
            one = (
                "takes or returns a state in forward; use step" if seq_idx is None else "keeps sequences of a row apart"
            )
            raise ValueError(f"{other[0]}: only MambaBlock {one}")
        state = (None,) * len(self.layers) if state is None else state
        x, after = self.layers.run(partial(MambaBlock.__call__, return_state=True, seq_idx=seq_idx), x, state)
        return (self.norm(x), after) if return_state else self.norm(x)

    def step(self, x: Float[Tensor, "B D"] | Int[Tensor, " B"], state: States) -> tuple[Float[Tensor, "B D"], States]:
        """Features of one token, by the recurrence, and the state after it."""
        x, after = self.layers.step(self._embedded(x, "B"), state)
        return self.norm(x), after

    def initial_state(
        self, batch: int, device: str | torch.device | None = None, dtype: torch.dtype | None = None
    ) -> States:
        """The states of all mixers before the first token."""
        return self.layers.initial_state(batch, device, dtype)

    def _embedded(self, x: Tensor, *axes: str) -> Tensor:
        if self.embedding is None:
            check_shape("input", x, *axes, self.config.dim)
            return x
        check_tokens(x, self.config.vocabulary, *axes)
        check_device("tokens", x, self.embedding.weight)  # torch's own embedding of tokens without memory is garbage
        return self.embedding(x)


class MambaLM(nn.Module):
    """A language model: a backbone with a vocabulary, whose embedding is also the head that predicts the next token.

    raises   ValueError for a config without a vocabulary
    """

    def __init__(self, config: MambaConfig, *, generator: torch.Generator | None = None):
        super().__init__()
        if config.vocabulary is None:
            raise ValueError("vocabulary = None: a language model needs the number of its tokens")
        self.config = config
        self.backbone = MambaBackbone(config, generator=generator)

    def forward(
        self,
        tokens: Int[Tensor, "B T"],
        state: States | None = None,
        return_state: bool = False,
        seq_idx: Tensor | None = None,
    ) -> Float[Tensor, "B T V"] | tuple[Float[Tensor, "B T V"], States]:
        """Logits of the next token at each of T tokens that follow on a state; with `return_state`, the new one too.

        seq_idx   as the backbone's; at a sequence's last token, the next one is another sequence's first
        """
        if state is None and not return_state:
            return self._head(self.backbone(tokens, **_packed(seq_idx)))
        out, after = self.backbone(tokens, state, return_state=True, **_packed(seq_idx))
        return (self._head(out), after) if return_state else self._head(out)

    def step(self, tokens: Int[Tensor, " B"], state: States) -> tuple[Float[Tensor, "B V"], States]:
        """Logits of the next token at one token, by the recurrence, and the state after it."""
        out, after = self.backbone.step(tokens, state)
        return self._head(out), after

    @torch.no_grad()
    def generate(
        self,
        tokens: Int[Tensor, "B T"],
        new_tokens: int,
        temperature: float = 0.0,
        generator: torch.Generator | None = None,
    ) -> Int[Tensor, "B S"]:
        """Append `new_tokens` tokens, each the likeliest at temperature 0, else drawn from the tempered softmax.

        returns  all tokens (B, S), those given first
        raises   ValueError, quoting it, for a negative number or temperature
        """
        check_count("new_tokens", new_tokens, 0)
        check_number("temperature", temperature, 0)
        out, state = self.backbone(tokens, return_state=True)
        logits, new = self._head(out[:, -1]), []
        for _ in range(new_tokens):
            if new:
                logits, state = self.step(new[-1], state)
            if temperature == 0:
                new.append(logits.argmax(-1))
            else:
                chances = (logits.float() / temperature).softmax(-1)
                new.append(chances.multinomial(1, generator=generator)[:, 0])
        return torch.cat([tokens, *(token.unsqueeze(1) for token in new)], dim=1)

    def initial_state(
        self, batch: int, device: str | torch.device | None = None, dtype: torch.dtype | None = None
    ) -> States:
        """The backbone's states before the first token."""
        return self.backbone.initial_state(batch, device, dtype)

    def _head(self, features: Tensor) -> Tensor:
        return F.linear(features, self.backbone.embedding.weight)


class MambaClassifier(nn.Module):
    """A classifier of sequences, or of each token: a backbone and a linear head.

    inputs   features per token, projected to D; None for tokens of the config's vocabulary
    pooling  "mean" of all tokens, or the "last" one, which has seen all of them, or "none": an answer per token
    mixers   of the backbone, instead of the config's blocks
    raises   ValueError, quoting what was given, for a size below 1, and where inputs and vocabulary, or input and
             `inputs`, do not fit
    """

    def __init__(
        self,
        config: MambaConfig,
        inputs: int | None,
        classes: int,
        *,
        pooling: str = "mean",
        mixers: Iterable[nn.Module] | None = None,
        generator: torch.Generator | None = None,
    ):
        super().__init__()
        if (inputs is None) == (config.vocabulary is None):
            raise ValueError(f"inputs = {inputs}, vocabulary = {config.vocabulary}: exactly one of them is needed")
        check_count("classes", classes)
        check_count("inputs", inputs, also=(None,))
        check_choice("pooling", pooling, POOLINGS)
        self.inputs, self.pooling = inputs, pooling
        self.project = None if inputs is None else fresh(nn.Linear, inputs, config.dim, generator=generator)
        self.backbone = MambaBackbone(config, mixers, generator=generator)
        self.head = fresh(nn.Linear, config.dim, classes, generator=generator)

    def forward(
        self, x: Float[Tensor, "B T F"] | Int[Tensor, "B T"], seq_idx: Tensor | None = None
    ) -> Float[Tensor, "B *T classes"]:
        """Scores of the classes: of a sequence, or, with pooling "none", of each token.

        seq_idx   as the backbone's, with pooling "none" only: others answer once a row
        """
        if seq_idx is not None:
            check_choice("pooling, with seq_idx", self.pooling, ("none",))
        features = self.backbone(self._projected(x, "B", "T"), **_packed(seq_idx))
        if self.pooling == "mean":
            features = features.mean(1)
        return self.head(features[:, -1] if self.pooling == "last" else features)

    def step(
        self, x: Float[Tensor, "B F"] | Int[Tensor, " B"], state: tuple
    ) -> tuple[Float[Tensor, "B classes"], tuple]:
        """Scores at one token, before any pooling, and the state after it; the state given does not change."""
        features, state = self.backbone.step(self._projected(x, "B"), state)
        return self.head(features), state

    def initial_state(
        self, batch: int, device: str | torch.device | None = None, dtype: torch.dtype | None = None
    ) -> tuple:
        """The backbone's states before the first token."""
        return self.backbone.initial_state(batch, device, dtype)

    def _projected(self, x: Tensor, *axes: str) -> Tensor:
        if self.project is None:
            return x
        check_shape("input", x, *axes, self.inputs)
        check_precision("input", x, self.project)
        return self.project(x)


def _packed(seq_idx: Tensor | None) -> dict[str, Tensor]:
    """The option of a backbone, which one of another kind need not have."""
    return {} if seq_idx is None else {"seq_idx": seq_idx}
