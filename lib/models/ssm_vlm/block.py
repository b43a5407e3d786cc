"""Vision Mamba's block: scans of the patches in several orders, as one call of the scan.

The channels of all orders stand side by side, E of each, F in all; B and C come in as many groups. So two directions
cost one scan of twice the channels, and nothing new is needed of its kernel.
Symbols: `lib/__init__.py`; P patches, G orders, E channels of a block. Source: Zhu et al. (2024), section 3.3.
"""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from lib.models.checks import check_precision, check_shape
from lib.models.ssm.convolution import convolution_silu
from lib.models.ssm.mamba_block import MambaBlock, MambaConfig, fresh
from lib.models.ssm.scan import selective_scan_fn
from lib.models.ssm_vlm.orders import BOTH_WAYS, places, visits

Grid = tuple[int, int]  # rows and columns of patches, H and W


class VisionMambaBlock(nn.Module):
    """A mixer of patches: between two projections a Mamba's convolution and scan in each order, added, and one gate.

    Equal to the sum of Mamba blocks, one for each order, that share their outer projections.

    orders   of `lib.models.ssm_vlm.orders.ORDERS`; two are Vision Mamba's, four VMamba's cross-scan
    shared   one set of convolution, maps and step sizes for all orders, in place of one each
    raises   ValueError, quoting it, for no order, an unknown one, or one that comes twice; for an input of another
             shape or dtype, and for a grid that has not its number of patches
    """

    def __init__(
        self,
        config: MambaConfig,
        orders: Sequence[str] = BOTH_WAYS,
        *,
        shared: bool = False,
        generator: torch.Generator | None = None,
    ):
        super().__init__()
        orders = tuple(orders)
        if not orders or len(set(orders)) < len(orders):
            raise ValueError(f"orders = {orders}: one or more are needed, each once")
        for order in orders:
            visits(order, 1, 1)  # refuses an unknown one
        self.config, self.orders, self.shared = config, orders, shared
        dim, channels, own = config.dim, config.channels, 1 if shared else len(orders)
        self.in_proj = fresh(nn.Linear, dim, 2 * channels, bias=config.bias, generator=generator)
        self.out_proj = fresh(nn.Linear, channels, dim, bias=config.bias, generator=generator)
        conv = {"groups": own * channels, "bias": config.conv_bias}
        self.conv1d = fresh(nn.Conv1d, own * channels, own * channels, config.kernel, **conv, generator=generator)
        blocks = [MambaBlock(config, generator=generator) for _ in range(own)]  # for their initial values
        self.x_proj = nn.ModuleList(block.x_proj for block in blocks)
        self.dt_proj = nn.ModuleList(block.dt_proj for block in blocks)
        self.A_log = nn.Parameter(torch.cat([block.A_log.detach() for block in blocks]))
        self.D = nn.Parameter(torch.cat([block.D.detach() for block in blocks]))

    def forward(
        self, x: Float[Tensor, "B P D"], grid: Grid | None = None, sizes: Float[Tensor, "B P"] | None = None
    ) -> Float[Tensor, "B P D"]:
        """Mix P patches.

        grid    rows and columns of the patches; where left out, a square's
        sizes   patches that each of them stands for: its steps are so many times as long, so that a state decays as
                over all of them; one each where left out
        """
        orders = self._orders(x, grid)
        x, gate = self.in_proj(x).chunk(2, dim=-1)
        u, delta, B, C = self._inputs(x, orders)
        skip, decay, bias = self._each(self.D), self._each(self._A()), self._step_bias()
        steps = {"delta_bias": bias, "delta_softplus": True}
        if sizes is not None:
            check_shape("sizes", sizes, *x.shape[:2])
            check_precision("sizes", sizes, self.in_proj)
            delta, steps = F.softplus(delta + bias) * self._by_channel(sizes, orders), {}
        fixed = {"D": skip, "backend": self.config.backend, **steps}
        y = selective_scan_fn(u.transpose(1, 2), delta.transpose(1, 2), decay, B, C, **fixed).transpose(1, 2)
        y = sum(one[:, places(order)] for one, order in zip(y.chunk(len(orders), dim=-1), orders, strict=True))
        return self.out_proj(y * F.silu(gate))

    def step_sizes(self, x: Float[Tensor, "B P D"], grid: Grid | None = None) -> Float[Tensor, "B P"]:
        """How long a step each patch makes, mean over channels and orders.

        source   DeciMamba (Ben-Kish et al., 2025, https://arxiv.org/abs/2406.14528) keeps tokens by it
        """
        orders = self._orders(x, grid)
        _, delta, _, _ = self._inputs(self.in_proj(x).chunk(2, dim=-1)[0], orders)
        steps = F.softplus(delta + self._step_bias()).chunk(len(orders), dim=-1)
        parts = [one.mean(-1)[:, places(order)] for one, order in zip(steps, orders, strict=True)]
        return torch.stack(parts).mean(0)

    def _orders(self, x: Tensor, grid: Grid | None) -> list[Int[Tensor, " P"]]:
        check_shape("input", x, "B", "P", self.config.dim)
        check_precision("input", x, self.in_proj)
        return [visits(order, *grid_of(grid, x.shape[1])).to(x.device) for order in self.orders]

    def _inputs(self, x: Tensor, orders: Sequence[Tensor]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """What the scan reads: u (B, P, F), step sizes before bias and softplus (B, P, F), B and C (B, G, N, P)."""
        weight, bias = self._each(self.conv1d.weight), self._each(self.conv1d.bias)
        u = convolution_silu(torch.cat([x[:, order] for order in orders], dim=-1), weight, bias)
        return u, *self._select(u.chunk(len(orders), dim=-1))

    def _by_channel(self, sizes: Tensor, orders: Sequence[Tensor]) -> Float[Tensor, "B P F"]:
        alike = [sizes[:, order, None].expand(-1, -1, self.config.channels) for order in orders]
        return torch.cat(alike, dim=-1)

    def _select(self, parts: Sequence[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Step sizes (B, P, G E) before bias and softplus, and B and C (B, G, N, P)."""
        rank, states, found = self.config.step_rank, self.config.states, []
        for number, part in enumerate(parts):
            one = 0 if self.shared else number
            low, B, C = self.x_proj[one](part).split([rank, states, states], dim=-1)
            found.append((F.linear(low, self.dt_proj[one].weight), B, C))
        delta, B, C = zip(*found, strict=True)
        return torch.cat(delta, -1), torch.stack(B, 1).transpose(2, 3), torch.stack(C, 1).transpose(2, 3)

    def _each(self, tensor: Tensor | None) -> Tensor | None:
        """A tensor whose first axis is that of the channels of all orders."""
        if tensor is None or not self.shared:
            return tensor
        return torch.cat([tensor] * len(self.orders))

    def _step_bias(self) -> Float[Tensor, " F"]:
        return self._each(torch.cat([one.bias for one in self.dt_proj]))

    def _A(self) -> Float[Tensor, "E N"]:
        return -self.A_log.to(torch.promote_types(self.A_log.dtype, torch.float32)).exp()


def grid_of(grid: Grid | None, patches: int) -> Grid:
    """Rows and columns of this many patches.

    raises   ValueError, quoting both, where they do not fit
    """
    if grid is None:
        side = math.isqrt(patches)
        if side * side != patches:
            raise ValueError(f"{patches} patches make no square: name grid = (rows, columns)")
        return side, side
    height, width = grid
    if height * width != patches:
        raise ValueError(f"grid = {tuple(grid)}: it has {height * width} patches, the input {patches}")
    return height, width
