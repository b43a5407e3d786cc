"""What the gates of a multi-resolution model did, token by token, and models whose gates are held open or closed."""

from collections.abc import Sequence
from copy import deepcopy

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from lib.models.mrss.dual_branch import DualBranch
from lib.models.mrss.dynamic import Dynamic
from lib.models.mrss.dynamic_rate import DynamicRate
from lib.models.mrss.routing import routed
from lib.models.mrss.sparse_gate import SparseGate

SOON = 16  # tokens after a change of state
STEPS = 255  # in which a share is kept

Uses = list[tuple[int, Tensor]]  # of a model's mixers: tokens n of a span, and shares (B, T / n) of the spans


@torch.no_grad()
def uses(model: nn.Module, x: Tensor) -> Uses:
    """What every mixer with a gate made of each span of sequences, first to last; none of a model without gates.

    Of one that chooses, the share of the span's tokens that its costly part computed. Of the original's dual branch,
    which computes all of them, the mean weight 1 - g of its full-rate branch.
    """
    weights: list[Tensor] = []
    gates = [module.gates[0] for module in model.modules() if isinstance(module, DualBranch)]
    hooks = [gate.register_forward_hook(lambda *held: weights.append(held[2])) for gate in gates]
    try:
        model(x)
    finally:
        for hook in hooks:
            hook.remove()
    of_weights = [(1, torch.sigmoid(-scores).mean(-1)) for scores in weights]
    return of_weights + [(mixer.span, mixer.used.float()) for mixer in routed(model)]


def by_token(found: Uses, length: int) -> Float[Tensor, "B T"]:
    """The uses of a model at each of T tokens, averaged over its mixers; a span that is not complete counts as none."""
    spread = [used.cpu().repeat_interleave(span, dim=1)[:, :length] for span, used in found]
    return torch.stack([nn.functional.pad(one, (0, length - one.shape[1])) for one in spread]).mean(0)


def after(used: Float[Tensor, "B T"], states: Int[Tensor, "B T"]) -> float:
    """Mean use in the `SOON` tokens that begin with a change of state; of all tokens where there is none."""
    soon = lately(states)
    return used[soon].mean().item() if soon.any() else used.mean().item()


def lately(states: Int[Tensor, "B T"]) -> Bool[Tensor, "B T"]:
    """Whether a state has changed at a token, or at one of the `SOON` - 1 before it."""
    at = torch.arange(states.shape[1]).expand_as(states)
    changed = torch.nn.functional.pad(states[:, 1:] != states[:, :-1], (1, 0))
    return at - torch.where(changed, at, -SOON).cummax(1).values < SOON


def forced(model: nn.Module, is_open: bool) -> nn.Module | None:
    """A copy of a model whose gates are all open, or all closed, whatever the input; None where that cannot be had."""
    model = deepcopy(model)
    for mixer in (held := list(routed(model))):
        if isinstance(mixer, DynamicRate):
            mixer.decide(mixer.factors[0 if is_open else -1])
        elif isinstance(mixer, SparseGate | Dynamic):
            nn.init.zeros_(mixer.router.weight)
            nn.init.constant_(mixer.router.bias, 1.0 if is_open else -1.0)
            mixer.budget = 1.0
        else:
            return None
    return model if held else None


def packed(shares: Sequence[float] | Tensor) -> str:
    """Shares from 0 to 1, in 255 steps, as hexadecimal digits, two each: what a record can hold."""
    return bytes(round(STEPS * float(share)) for share in shares).hex()


def unpacked(digits: str) -> np.ndarray:
    """Shares from the digits of `packed`."""
    return np.frombuffer(bytes.fromhex(digits), dtype=np.uint8) / STEPS
