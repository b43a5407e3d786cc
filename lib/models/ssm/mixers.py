"""Three ways for tokens to exchange information, at equal width and without projections: to compare their costs.

Queries, keys, step sizes and the scan's B and C are slices of the input, so that nothing but the mixing is paid for.
Symbols: `lib/__init__.py`.
"""

from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from lib.models.checks import check_count, check_shape
from lib.models.ssm import scan
from lib.models.ssm.mamba_block import MambaBlock, MambaConfig
from lib.models.ssm.s4d import S4D

HEAD = 64  # channels of an attention head, as in GPT-2 and ViT-B


class Attention(nn.Module):
    """Causal self-attention by torch's fused kernel: heads of 64 channels, or one where D is no multiple of 64.

    raises   ValueError, quoting its shape, for an input that is not (B, T, D)
    """

    def forward(self, x: Float[Tensor, "B T D"]) -> Float[Tensor, "B T D"]:
        """Mix T tokens, each with those before it."""
        check_shape("input", x, "B", "T", "D")
        heads = max(1, x.shape[2] // HEAD) if x.shape[2] % HEAD == 0 else 1
        heads_first = x.unflatten(2, (heads, -1)).transpose(1, 2)
        mixed = F.scaled_dot_product_attention(heads_first, heads_first, heads_first, is_causal=True)
        return mixed.transpose(1, 2).flatten(2)


class Scan(nn.Module):
    """A gated selective scan whose step sizes, B and C are slices of its input.

    states   N <= D
    bias     added to every step size before softplus: far below zero, nothing enters the state
    raises   ValueError, naming both, for more states than channels; quoting its shape, for an input of another
    """

    def __init__(self, dim: int, states: int, backend: str = "auto", bias: float = -4.6):
        super().__init__()
        check_count("states", states, 1, dim, where=", B is a slice of the dim channels")
        self.states, self.backend = states, backend
        self.register_buffer("A", -torch.arange(1.0, states + 1).repeat(dim, 1))
        self.register_buffer("bias", torch.full((dim,), bias))

    def forward(self, x: Float[Tensor, "B T D"]) -> Float[Tensor, "B T D"]:
        """Scan T tokens from a state of zeros."""
        check_shape("input", x, "B", "T", len(self.A))
        u, B, C = (part.transpose(1, 2) for part in (x, x[..., : self.states], x[..., -self.states :]))
        out = scan.selective_scan_fn(
            u, u, self.A, B, C, z=u, delta_bias=self.bias, delta_softplus=True, backend=self.backend
        )
        return out.transpose(1, 2)


def family(dim: int, states: int, device: str, *, generator: torch.Generator) -> dict[str, nn.Module]:
    """Mixers to compare, keyed by figure label: attention, S4D, and the scan by every backend that serves a device."""
    served = [
        name for name, kernel in scan.KERNELS.items() if not kernel.unavailable(torch.device(device), torch.float32)
    ]
    mixers = {"attention": Attention(), "S4D": S4D(dim, states, generator=generator)}
    mixers |= {f"scan, {name}": Scan(dim, states, name) for name in [*served, "ref"]}
    return {name: mixer.to(device) for name, mixer in mixers.items()}


def scan_and_block(dim: int, states: int, *, generator: torch.Generator) -> dict[str, nn.Module]:
    """A scan of D channels, and a Mamba block of width D with a scan of 2 D channels, keyed "scan" and "block"."""
    config = MambaConfig(dim=dim, layers=1, states=states)
    return {"scan": Scan(dim, states), "block": MambaBlock(config, generator=generator)}


def uncounted(model: nn.Module, x: Tensor) -> int:
    """Operations of the scans "ref" in a forward pass, whose work is element-wise; of others a counter knows them.

    Of mixers and of Mamba blocks anywhere in the model: a scan counts the same by whichever backend it runs.
    """
    counts = []

    def count(sizes: tuple[int, int], module: nn.Module, inputs: tuple[Tensor, ...], _) -> None:
        batch, length, _ = inputs[0].shape
        counts.append(scan.flops(batch, length, *sizes))

    found = {module: sizes for module in model.modules() if (sizes := _by_definition(module))}
    hooks = [module.register_forward_hook(partial(count, sizes)) for module, sizes in found.items()]
    try:
        if found:
            with torch.no_grad():
                model(x)
    finally:
        for hook in hooks:
            hook.remove()
    return sum(counts)


def _by_definition(module: nn.Module) -> tuple[int, int] | None:
    """Channels and states of a scan by its definition; None of any other module."""
    if isinstance(module, Scan):
        return (len(module.A), module.states) if module.backend == "ref" else None
    if isinstance(module, MambaBlock):
        config = module.config
        return (config.channels, config.states) if config.backend == "ref" else None
    return None
