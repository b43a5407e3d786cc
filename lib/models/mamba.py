"""Mamba: a causal convolution, a selective scan and a gate in each block; language model and classifier on top.

A block works with E = expand * D channels. It runs over a whole sequence, over one token (`step`), or over a
chunk from a state to the state after it; the three agree. Activations stay (B, T, E) in memory: the scan gets
transposed views, which its CPU kernel reads and writes in place.
Symbols: `lib/__init__.py`. Source: Gu and Dao (2023). Weights of transformers: `lib.models.mamba_weights`.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from lib.models.mamba_weights import accelerate_transformers as accelerate_transformers
from lib.models.scan import BACKENDS, selective_scan_fn, selective_scan_step

POOLINGS = ("mean", "last")


@dataclass(frozen=True)
class MambaConfig:
    """Sizes and initial step sizes of a Mamba.

    dim, layers         D, and the number of blocks
    states, expand      N, and the channels of a block over D
    kernel              taps K of the causal convolution
    rank                of the projection to step sizes; "auto" is D / 16, rounded up
    vocabulary          number of different tokens; None where the input is (B, T, D) numbers
    conv_bias, bias     whether the convolution, whether the two outer projections have one
    time_step_min, _max, _floor   of the initial step sizes: log-uniform, then clamped from below
    backend             of the scan, see `lib.models.scan`
    raises              ValueError, naming the value and what is allowed
    """

    dim: int
    layers: int
    states: int = 16
    expand: int = 2
    kernel: int = 4
    rank: int | str = "auto"
    vocabulary: int | None = None
    conv_bias: bool = True
    bias: bool = False
    norm_eps: float = 1e-5
    time_step_min: float = 0.001
    time_step_max: float = 0.1
    time_step_floor: float = 1e-4
    backend: str = "auto"

    def __post_init__(self):
        others = {"rank": "auto", "vocabulary": None}
        for name in ("dim", "layers", "states", "expand", "kernel", "rank", "vocabulary"):
            size, other = getattr(self, name), others.get(name, 1)
            if size != other and (not isinstance(size, int) or size < 1):
                also = f", or {other!r}," if name in others else ""
                raise ValueError(f"{name} = {size!r}: an integer of at least 1{also} is needed")
        for name in ("norm_eps", "time_step_min", "time_step_floor"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} = {getattr(self, name)}: more than 0 is needed")
        if self.time_step_max < self.time_step_min:
            raise ValueError(f"time_step_max = {self.time_step_max}: at least time_step_min = {self.time_step_min}")
        if self.backend not in BACKENDS:
            raise ValueError(f"backend = {self.backend!r}: one of {', '.join(BACKENDS)} is needed")

    @property
    def channels(self) -> int:
        return self.expand * self.dim

    @property
    def step_rank(self) -> int:
        return math.ceil(self.dim / 16) if self.rank == "auto" else self.rank


class MambaState(NamedTuple):
    """What a block carries from token to token: the convolution's last K - 1 inputs and the scan's state."""

    convolution: Float[Tensor, "B K-1 E"]
    scan: Float[Tensor, "B E N"]


States = tuple[MambaState, ...]  # of a backbone: one per block


class MambaBlock(nn.Module):
    """The mixer of tokens, without norm and residual; its parameters are named as in transformers' MambaMixer.

    raises   ValueError, quoting the shape, for an input that is not (B, T, D) with T >= 1
    source   Gu and Dao (2023), section 3.4; initial A is S4D-Real, initial step sizes are appendix E.5's
    """

    def __init__(self, config: MambaConfig, *, generator: torch.Generator | None = None):
        super().__init__()
        self.config = config
        dim, channels, states, rank = config.dim, config.channels, config.states, config.step_rank
        self.in_proj = _fresh(nn.Linear, dim, 2 * channels, bias=config.bias, generator=generator)
        conv = {"groups": channels, "bias": config.conv_bias}
        self.conv1d = _fresh(nn.Conv1d, channels, channels, config.kernel, **conv, generator=generator)
        self.x_proj = _fresh(nn.Linear, channels, rank + 2 * states, bias=False, generator=generator)
        self.dt_proj = _fresh(nn.Linear, rank, channels, generator=generator)
        self.out_proj = _fresh(nn.Linear, channels, dim, bias=config.bias, generator=generator)
        self.A_log = nn.Parameter(torch.arange(1.0, states + 1).log().repeat(channels, 1))
        self.D = nn.Parameter(torch.ones(channels))
        low, high = math.log(config.time_step_min), math.log(config.time_step_max)
        steps = torch.empty(channels).uniform_(low, high, generator=generator).exp().clamp(min=config.time_step_floor)
        with torch.no_grad():
            self.dt_proj.bias.copy_(steps + (-torch.expm1(-steps)).log())  # what softplus takes back to steps

    def forward(
        self, x: Float[Tensor, "B T D"], state: MambaState | None = None, return_state: bool = False
    ) -> Float[Tensor, "B T D"] | tuple[Float[Tensor, "B T D"], MambaState]:
        """Mix T tokens that follow on a state; with `return_state`, return the state after them, too."""
        if x.ndim != 3 or x.shape[1] < 1 or x.shape[2] != self.config.dim:
            raise ValueError(f"input of shape {tuple(x.shape)}: (B, T, {self.config.dim}) with T >= 1 is needed")
        batch, length, _ = x.shape
        x, gate = self.in_proj(x).chunk(2, dim=-1)
        if state is None:
            past = x.new_zeros(batch, self.config.kernel - 1, self.config.channels)
        else:
            past = state.convolution.to(x.dtype)
        window = torch.cat([past, x], dim=1)
        x = F.silu(causal_convolution(window, self.conv1d.weight, self.conv1d.bias))
        delta, B, C = self._select(x)
        u, delta, B, C, z = (tensor.transpose(1, 2) for tensor in (x, delta, B, C, gate))
        fixed = {"D": self.D, "delta_bias": self.dt_proj.bias, "delta_softplus": True}
        carry = {"initial_state": None if state is None else state.scan, "return_last_state": True}
        out, last = selective_scan_fn(u, delta, self._A(), B, C, z=z, **fixed, **carry, backend=self.config.backend)
        out = self.out_proj(out.transpose(1, 2))
        # A copy of the last inputs: a view would keep the whole window alive.
        return (out, MambaState(window[:, length:].clone(), last)) if return_state else out

    def step(self, x: Float[Tensor, "B D"], state: MambaState) -> tuple[Float[Tensor, "B D"], MambaState]:
        """Mix one token, by the recurrence; the state given is left as it is."""
        x, gate = self.in_proj(x).chunk(2, dim=-1)
        window = torch.cat([state.convolution, x.unsqueeze(1)], dim=1)
        x = torch.einsum("bke,ek->be", window, self.conv1d.weight[:, 0])
        x = F.silu(x if self.conv1d.bias is None else x + self.conv1d.bias)
        delta, B, C = self._select(x)
        y, scan = selective_scan_step(state.scan, x, delta, self._A(), B, C, self.D, gate, self.dt_proj.bias, True)
        return self.out_proj(y), MambaState(window[:, 1:], scan)

    def initial_state(
        self, batch: int, device: str | torch.device | None = None, dtype: torch.dtype | None = None
    ) -> MambaState:
        """The state before the first token: zeros, on the weights' device and in their dtype where left out."""
        like = torch.empty(0, device=device or self.D.device, dtype=dtype or self.D.dtype)
        config, precise = self.config, torch.promote_types(like.dtype, torch.float32)
        past = like.new_zeros(batch, config.kernel - 1, config.channels)
        return MambaState(past, like.new_zeros(batch, config.channels, config.states, dtype=precise))

    def _A(self) -> Float[Tensor, "E N"]:
        return -self.A_log.to(torch.promote_types(self.A_log.dtype, torch.float32)).exp()

    def _select(self, x: Float[Tensor, "*B E"]) -> tuple[Tensor, Tensor, Tensor]:
        """Step size (..., E) before bias and softplus, which the scan applies; B and C (..., N)."""
        low, B, C = self.x_proj(x).split([self.config.step_rank, self.config.states, self.config.states], dim=-1)
        return F.linear(low, self.dt_proj.weight), B, C


def causal_convolution(
    window: Float[Tensor, "B S E"], weight: Float[Tensor, "E 1 K"], bias: Float[Tensor, " E"] | None = None
) -> Float[Tensor, "B T E"]:
    """Depthwise convolution of K taps over S = T + K - 1 tokens, without padding: output t sees inputs t .. t+K-1."""
    # Under autocast only the window comes in half precision, and backward needs one dtype.
    return _Convolution.apply(window, weight.to(window.dtype), None if bias is None else bias.to(window.dtype))


class _Convolution(torch.autograd.Function):
    """conv1d wants (B, E, T) and would copy; a channels-last image of height 1 is (B, T, E) in memory as it is.

    Torch's own backward is slow for the weights: K products, summed over tokens, take a third of its time.
    """

    @staticmethod
    def forward(ctx, window, weight, bias):
        ctx.save_for_backward(window, weight)
        ctx.bias = bias is not None
        return _convolve(window, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        window, weight = ctx.saved_tensors
        taps, length = weight.shape[2], grad.shape[1]
        grad_weight = torch.stack([(grad * window[:, k : k + length]).sum((0, 1)) for k in range(taps)], dim=-1)
        grad_window = _convolve(grad, weight.flip(-1), padding=taps - 1)
        return grad_window, grad_weight.unsqueeze(1), grad.sum((0, 1)) if ctx.bias else None


def _convolve(x: Tensor, weight: Tensor, bias: Tensor | None = None, padding: int = 0) -> Tensor:
    image = x.transpose(1, 2).unsqueeze(2)
    return F.conv2d(image, weight.unsqueeze(2), bias, padding=(0, padding), groups=len(weight)).squeeze(2).mT


class MambaBackbone(nn.Module):
    """Blocks with a norm before and a residual around each, and a last norm; tokens are embedded first.

    Takes tokens (B, T) where the config has a vocabulary, numbers (B, T, D) where it has none.
    raises   ValueError, quoting them, for tokens outside the vocabulary (on a CPU: elsewhere it would cost a wait)
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
        out, after = self._run(partial(MambaBlock.__call__, return_state=True), x, state or (None,) * len(self.layers))
        return (out, after) if return_state else out

    def step(self, x: Float[Tensor, "B D"] | Int[Tensor, " B"], state: States) -> tuple[Float[Tensor, "B D"], States]:
        """Features of one token, by the recurrence."""
        return self._run(MambaBlock.step, x, state)

    def initial_state(
        self, batch: int, device: str | torch.device | None = None, dtype: torch.dtype | None = None
    ) -> States:
        return tuple(layer["mixer"].initial_state(batch, device, dtype) for layer in self.layers)

    def _run(self, mix: Callable, x: Tensor, state: tuple) -> tuple[Tensor, States]:
        if self.embedding is not None:
            x = self.embedding(self._checked(x))
        after = []
        for layer, before in zip(self.layers, state, strict=True):
            y, new = mix(layer["mixer"], layer["norm"](x), before)
            x = x + y
            after.append(new)
        return self.norm(x), tuple(after)

    def _checked(self, tokens: Tensor) -> Tensor:
        if tokens.device.type == "cpu" and tokens.numel():
            least, most, size = tokens.min().item(), tokens.max().item(), self.config.vocabulary
            if tokens.is_floating_point() or least < 0 or most >= size:
                raise ValueError(
                    f"tokens {least} to {most} of {tokens.dtype}: integers from 0 to {size - 1} are needed"
                )
        return tokens


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
    raises   ValueError, quoting what was given, where inputs and vocabulary, or input and `inputs`, do not fit
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
        if pooling not in POOLINGS:
            raise ValueError(f"pooling = {pooling!r}: one of {', '.join(POOLINGS)} is needed")
        self.inputs, self.pooling = inputs, pooling
        self.project = None if inputs is None else _fresh(nn.Linear, inputs, config.dim, generator=generator)
        self.backbone = MambaBackbone(config, generator=generator)
        self.head = _fresh(nn.Linear, config.dim, classes, generator=generator)

    def forward(self, x: Float[Tensor, "B T F"] | Int[Tensor, "B T"]) -> Float[Tensor, "B classes"]:
        if self.project is not None:
            if x.ndim != 3 or x.shape[2] != self.inputs:
                raise ValueError(f"input of shape {tuple(x.shape)}: (B, T, {self.inputs}) is needed")
            x = self.project(x)
        features = self.backbone(x)
        return self.head(features.mean(1) if self.pooling == "mean" else features[:, -1])


def _fresh(kind: type[nn.Module], *sizes: int, generator: torch.Generator | None, **options) -> nn.Module:
    """A linear layer or convolution with torch's own initial distribution, drawn from the generator alone."""
    layer = nn.utils.skip_init(kind, *sizes, **options)
    bound = layer.weight[0].numel() ** -0.5
    for weight in layer.parameters():
        nn.init.uniform_(weight, -bound, bound, generator=generator)
    return layer
