"""Mamba models: blocks on one another, with a language model or a classifier on top.

Symbols: `lib/__init__.py`. Source: Gu and Dao (2023). Weights of transformers: `lib.models.mamba_weights`.
"""

from collections.abc import Callable
from functools import partial

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from lib.models.accelerate import accelerate_transformers as accelerate_transformers
from lib.models.mamba_block import MambaBlock, MambaConfig, MambaState, fresh
from lib.models.shapes import check_shape, check_tensor

POOLINGS = ("mean", "last")

States = tuple[MambaState, ...]  # of a backbone: one per block


class MambaBackbone(nn.Module):
    """Blocks with a norm before and a residual around each, and a last norm; tokens are embedded first.

    Takes tokens (B, T) where the config has a vocabulary, numbers (B, T, D) where it has none.
    raises   ValueError, quoting them, for tokens outside the vocabulary (on a CPU: elsewhere it would cost a wait),
             and for an input or a state of another shape or of another number of blocks
    """

    def __init__(self, config: MambaConfig, *, generator: torch.Generator | None = None):
        super().__init__()
        self.config = config
        self.embedding = None
        if config.vocabulary is not None:
            weight = torch.empty(config.vocabulary, config.dim).normal_(std=0.02, generator=generator)
            self.embedding = nn.Embedding(config.vocabulary, config.dim, _weight=weight)
        self.layers = nn.ModuleList()
        for _ in range(config.layers):
            norm, mixer = nn.RMSNorm(config.dim, config.norm_eps), MambaBlock(config, generator=generator)
            self.layers.append(nn.ModuleDict({"norm": norm, "mixer": mixer}))
        self.norm = nn.RMSNorm(config.dim, config.norm_eps)

    def forward(
        self, x: Float[Tensor, "B T D"] | Int[Tensor, "B T"], state: States | None = None, return_state: bool = False
    ) -> Float[Tensor, "B T D"] | tuple[Float[Tensor, "B T D"], States]:
        """Features of T tokens that follow on a state; with `return_state`, the state after them, too."""
        state = (None,) * len(self.layers) if state is None else state
        out, after = self._run(partial(MambaBlock.__call__, return_state=True), x, ("B", "T"), state)
        return (out, after) if return_state else out

    def step(self, x: Float[Tensor, "B D"] | Int[Tensor, " B"], state: States) -> tuple[Float[Tensor, "B D"], States]:
        """Features of one token, by the recurrence."""
        return self._run(MambaBlock.step, x, ("B",), state)

    def initial_state(
        self, batch: int, device: str | torch.device | None = None, dtype: torch.dtype | None = None
    ) -> States:
        return tuple(layer["mixer"].initial_state(batch, device, dtype) for layer in self.layers)

    def _run(self, mix: Callable, x: Tensor, axes: tuple[str, ...], state: tuple) -> tuple[Tensor, States]:
        if self.embedding is None:
            check_shape("input", x, *axes, self.config.dim)
        else:
            self._check_tokens(x, axes)
            x = self.embedding(x)
        if not isinstance(state, tuple | list):
            raise TypeError(f"state is of type {type(state).__name__}: a tuple of MambaState is needed")
        if len(state) != len(self.layers):
            raise ValueError(f"state of {len(state)} blocks: one of {len(self.layers)} is needed")
        after = []
        for layer, before in zip(self.layers, state, strict=True):
            y, new = mix(layer["mixer"], layer["norm"](x), before)
            x = x + y
            after.append(new)
        return self.norm(x), tuple(after)

    def _check_tokens(self, tokens: Tensor, axes: tuple[str, ...]) -> None:
        check_tensor("tokens", tokens)
        if tokens.device.type == "cpu" and tokens.numel():
            least, most, size = tokens.min().item(), tokens.max().item(), self.config.vocabulary
            if tokens.is_floating_point() or least < 0 or most >= size:
                raise ValueError(
                    f"tokens {least} to {most} of {tokens.dtype}: integers from 0 to {size - 1} are needed"
                )
        check_shape("tokens", tokens, *axes)


class MambaLM(nn.Module):
    """A backbone with a vocabulary, and its embedding once more as the head that predicts the next token.

    raises   ValueError for a config without a vocabulary
    """

    def __init__(self, config: MambaConfig, *, generator: torch.Generator | None = None):
        super().__init__()
        if config.vocabulary is None:
            raise ValueError("vocabulary = None: a language model needs the number of its tokens")
        self.config = config
        self.backbone = MambaBackbone(config, generator=generator)

    def forward(
        self, tokens: Int[Tensor, "B T"], state: States | None = None, return_state: bool = False
    ) -> Float[Tensor, "B T V"] | tuple[Float[Tensor, "B T V"], States]:
        """Logits of the token after each of T tokens that follow on a state; the state after them, if asked for."""
        out, after = self.backbone(tokens, state, return_state=True)
        return (self._head(out), after) if return_state else self._head(out)

    def step(self, tokens: Int[Tensor, " B"], state: States) -> tuple[Float[Tensor, "B V"], States]:
        """Logits of the token after one token, by the recurrence."""
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
        """The tokens and `new_tokens` more, each the likeliest at temperature 0, else drawn from the tempered softmax.

        raises   ValueError for a negative number or temperature
        """
        if new_tokens < 0 or temperature < 0:
            raise ValueError(f"new_tokens = {new_tokens}, temperature = {temperature}: neither may be negative")
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
        return self.backbone.initial_state(batch, device, dtype)

    def _head(self, features: Tensor) -> Tensor:
        return F.linear(features, self.backbone.embedding.weight)


class MambaClassifier(nn.Module):
    """One class per sequence: a backbone, pooled over time, and a linear head.

    inputs   features per token, projected to D; None for tokens of the config's vocabulary
    pooling  "mean" over all tokens, or the "last" one, which has seen all of them
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
        generator: torch.Generator | None = None,
    ):
        super().__init__()
        if (inputs is None) == (config.vocabulary is None):
            raise ValueError(f"inputs = {inputs}, vocabulary = {config.vocabulary}: exactly one of them is needed")
        for name, size in {"classes": classes, **({} if inputs is None else {"inputs": inputs})}.items():
            if not isinstance(size, int) or size < 1:
                raise ValueError(f"{name} = {size!r}: an integer of at least 1 is needed")
        if pooling not in POOLINGS:
            raise ValueError(f"pooling = {pooling!r}: one of {', '.join(POOLINGS)} is needed")
        self.inputs, self.pooling = inputs, pooling
        self.project = None if inputs is None else fresh(nn.Linear, inputs, config.dim, generator=generator)
        self.backbone = MambaBackbone(config, generator=generator)
        self.head = fresh(nn.Linear, config.dim, classes, generator=generator)

    def forward(self, x: Float[Tensor, "B T F"] | Int[Tensor, "B T"]) -> Float[Tensor, "B classes"]:
        if self.project is not None:
            check_shape("input", x, "B", "T", self.inputs)
            x = self.project(x)
        features = self.backbone(x)
        return self.head(features.mean(1) if self.pooling == "mean" else features[:, -1])
