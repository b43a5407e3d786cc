"""MS-SSM: a signal is split into scales, each has a state space model of its own, and the input mixes their outputs.

Nested causal filters split the signal: at each level, a low-pass filter of wider and wider spacing makes the next
level's signal, and a high-pass filter a scale. The last level's signal is the coarsest scale. No scale has a lower
rate, so that nothing is saved: the form is a peer in accuracy.
What departs from the paper, whose description leaves these open: the filters have K taps as Mamba's convolution, in
the place of which they stand; all scales share Mamba's outer projections and gate; a scale's initial step sizes are
drawn from its own part of Mamba's range, the finest one's from the largest; the mixer is a softmax across scales.
Symbols: `lib/__init__.py`; S = levels + 1 scales.
"""

import math
from collections.abc import Iterator
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from lib.models.checks import check_count, check_many, check_precision, check_shape, check_state
from lib.models.mrss.config import LOWEST, MrssConfig
from lib.models.ssm.mamba_block import MambaConfig, fresh
from lib.models.ssm.scan import selective_scan_fn, selective_scan_step


class ScaleMixerState(NamedTuple):
    """State of a `ScaleMixer` between tokens: the last inputs of each level's filters, and all scans' states."""

    levels: tuple[Float[Tensor, "B P E"], ...]
    scan: Float[Tensor, "B SE N"]


class ScaleMixer(nn.Module):
    """A Mamba block with S scans, one for each scale, in the place of one.

    factor   r >= 2: the filters' spacing doubles from level to level, up to r tokens or the next power of two
    raises   ValueError, quoting it, for a factor below 2, and for an input or a state of another shape
    source   Karami et al. (2025)
    """

    def __init__(self, config: MambaConfig, factor: int, *, generator: torch.Generator | None = None):
        super().__init__()
        check_count("factor", factor, 2, LOWEST)
        self.config, self.levels = config, (factor - 1).bit_length()
        self.scales = self.levels + 1
        dim, channels, states, rank = config.dim, config.channels, config.states, config.step_rank
        self.in_proj = fresh(nn.Linear, dim, 2 * channels, bias=config.bias, generator=generator)
        bound = (3 / config.kernel) ** 0.5  # keeps the variance of noise from level to level
        taps = torch.empty(self.levels, 2, config.kernel, channels)  # first low-pass, then high-pass
        self.taps = nn.Parameter(taps.uniform_(-bound, bound, generator=generator))
        self.x_proj, self.dt_proj = (
            nn.ModuleList(fresh(nn.Linear, *sizes, bias=False, generator=generator) for _ in range(self.scales))
            for sizes in ((channels, rank + 2 * states), (rank, channels))
        )
        self.A_log = nn.Parameter(torch.arange(1.0, states + 1).log().repeat(self.scales * channels, 1))
        self.D = nn.Parameter(torch.ones(self.scales * channels))
        low, high = math.log(config.time_step_min), math.log(config.time_step_max)
        part = torch.rand(self.scales, channels, generator=generator) + torch.arange(self.scales).flip(0).unsqueeze(1)
        steps = (low + (high - low) * part / self.scales).exp().clamp(min=config.time_step_floor)
        self.dt_bias = nn.Parameter((steps + (-torch.expm1(-steps)).log()).flatten())  # softplus takes it to steps
        self.mix = fresh(nn.Linear, dim, self.scales, generator=generator)
        self.out_proj = fresh(nn.Linear, channels, dim, bias=config.bias, generator=generator)

    def forward(self, x: Float[Tensor, "B T D"]) -> Float[Tensor, "B T D"]:
        """Mix T tokens."""
        check_shape("input", x, "B", "T", self.config.dim)
        check_precision("input", x, self.in_proj)
        signal, gate = self.in_proj(x).chunk(2, dim=-1)
        scales = []
        for level in range(self.levels):
            window = F.pad(signal, (0, 0, self._past(level), 0))
            signal, detail = (self._filtered(window, level, kind, x.shape[1]) for kind in (0, 1))
            scales.append(detail)
        u, delta, B, C = self._select([*scales, signal])
        u, delta, B, C = (tensor.movedim(1, -1) for tensor in (u, delta, B, C))
        fixed = {"D": self.D, "delta_bias": self.dt_bias, "delta_softplus": True, "backend": self.config.backend}
        y = selective_scan_fn(u, delta, self._A(), B, C, **fixed)
        return self._mixed(x, y.transpose(1, 2), gate)

    def step(self, x: Float[Tensor, "B D"], state: ScaleMixerState) -> tuple[Float[Tensor, "B D"], ScaleMixerState]:
        """Mix one token, by the recurrence; the state given does not change."""
        check_shape("input", x, "B", self.config.dim)
        check_precision("input", x, self.in_proj)
        check_state(state, ScaleMixerState)
        check_many("state", state.levels, self.levels, "levels")
        signal, gate = self.in_proj(x).chunk(2, dim=-1)
        scales, kept = [], []
        for level, past in enumerate(state.levels):
            check_shape("state.levels", past, x.shape[0], self._past(level), self.config.channels)
            window = torch.cat([past.to(signal.dtype), signal.unsqueeze(1)], dim=1)
            kept.append(window[:, 1:])
            signal, detail = (self._filtered(window, level, kind, 1)[:, 0] for kind in (0, 1))
            scales.append(detail)
        u, delta, B, C = self._select([*scales, signal])
        y, scan = selective_scan_step(state.scan, u, delta, self._A(), B, C, self.D, None, self.dt_bias, True)
        return self._mixed(x, y, gate), ScaleMixerState(tuple(kept), scan)

    def initial_state(
        self, batch: int, device: str | torch.device | None = None, dtype: torch.dtype | None = None
    ) -> ScaleMixerState:
        """The state before the first token: zeros, on the weights' device and in their dtype where left out."""
        like = torch.empty(0, device=device or self.D.device, dtype=dtype or self.D.dtype)
        levels = [like.new_zeros(batch, self._past(level), self.config.channels) for level in range(self.levels)]
        precise = torch.promote_types(like.dtype, torch.float32)
        return ScaleMixerState(tuple(levels), like.new_zeros(batch, len(self.D), self.config.states, dtype=precise))

    def _past(self, level: int) -> int:
        """Inputs before the present one that a level's filters see."""
        return (self.config.kernel - 1) * 2**level

    def _filtered(self, window: Float[Tensor, "B S E"], level: int, kind: int, length: int) -> Float[Tensor, "B T E"]:
        taps = self.taps[level, kind]
        return sum(taps[k] * window[:, k * 2**level :][:, :length] for k in range(self.config.kernel))

    def _select(self, scales: list[Float[Tensor, "*B E"]]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Inputs and step sizes (..., S E) of all scans, before bias and softplus, and their B and C (..., S, N)."""
        scales = [F.silu(scale) for scale in scales]
        sizes = [self.config.step_rank, self.config.states, self.config.states]
        parts = [project(u).split(sizes, dim=-1) for project, u in zip(self.x_proj, scales, strict=True)]
        lows, B, C = zip(*parts, strict=True)
        delta = [project(low) for project, low in zip(self.dt_proj, lows, strict=True)]
        return torch.cat(scales, -1), torch.cat(delta, -1), torch.stack(B, -2), torch.stack(C, -2)

    def _mixed(self, x: Float[Tensor, "*B D"], y: Float[Tensor, "*B SE"], gate: Float[Tensor, "*B E"]) -> Tensor:
        shares = self.mix(x).softmax(-1).to(y.dtype).unbind(-1)
        y = sum(share.unsqueeze(-1) * part for share, part in zip(shares, y.chunk(self.scales, -1), strict=True))
        return self.out_proj(y * F.silu(gate))

    def _A(self) -> Float[Tensor, "SE N"]:
        return -self.A_log.to(torch.promote_types(self.A_log.dtype, torch.float32)).exp()


def mixers(config: MrssConfig, *, generator: torch.Generator | None = None) -> Iterator[nn.Module]:
    """Mixers of the form "scale_mixer": one `ScaleMixer` per block."""
    for _ in range(config.mamba.layers):
        yield ScaleMixer(config.mamba, config.factor, generator=generator)
