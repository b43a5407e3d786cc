"""What a batch shows of a Mamba block's states: the moments by which states are chosen.

The scan's output behind its gate is the sum over n of g C[n] h[n], in every channel, but for the skip. All moments are
means over tokens, in float64. Symbols: `lib/__init__.py`; E channels of a block, g = silu(z).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from lib.models.checks import check_count, check_finite, check_tensor
from lib.models.ssm.mamba_block import MambaBlock
from lib.models.ssm.scan import selective_scan_step

Sums = dict[str, Tensor]


@dataclass(frozen=True)
class Moments:
    """Moments of one block's states.

    joint     [i, j, m, n]: of g² h[i] h[j] C[m] C[n], added up over channels
    held      of h²
    reading   of C²
    gate      of g²
    decay     by which a state shrinks from a token to the next at the mean step size: exp(step A)
    rate      -A
    """

    joint: Float[Tensor, "N N N N"]
    held: Float[Tensor, "E N"]
    reading: Float[Tensor, " N"]
    gate: Float[Tensor, " E"]
    decay: Float[Tensor, "E N"]
    rate: Float[Tensor, "E N"]


def moments(model: nn.Module, data: Tensor, *, rows: int = 8) -> dict[MambaBlock, Moments]:
    """The moments of every Mamba block in a model on a batch of its inputs, in the order of `modules()`.

    data     (B, T) tokens, or (B, T, F) features: what the model takes
    rows     sequences at once; memory is that of their states at one token
    raises   ValueError for states, step sizes or gates that are not finite, and where a block sees no token
    """
    check_tensor("data", data)
    check_count("rows", rows)
    blocks = [module for module in model.modules() if isinstance(module, MambaBlock)]
    totals: dict[MambaBlock, Sums] = {block: {} for block in blocks}
    training = model.training
    model.eval()
    try:
        with torch.no_grad(), _watched(totals):
            for part in data.split(rows):
                model(part)
    finally:
        model.train(training)
    return {block: _means(number, block, totals[block]) for number, block in enumerate(blocks)}


@contextmanager
def _watched(totals: dict[MambaBlock, Sums]) -> Iterator[None]:
    """Inside, what blocks compute is added to their totals."""
    hooks = []
    for block, total in totals.items():
        seen: Sums = {}

        def gated(_, inputs, both, seen=seen) -> None:
            seen["gate"] = both.chunk(2, dim=-1)[1]

        def selected(_, inputs, chosen, seen=seen) -> None:
            seen |= {"x": inputs[0], "chosen": chosen}

        def ran(block, *_, total=total, seen=seen) -> None:
            for name, value in _sums(block, **{key: seen.pop(key).double() for key in ("x", "chosen", "gate")}).items():
                total[name] = total.get(name, 0) + value

        hooks += [
            block.in_proj.register_forward_hook(gated),
            block.x_proj.register_forward_hook(selected),
            block.register_forward_hook(ran),
        ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _sums(block: MambaBlock, x: Float[Tensor, "B T E"], chosen: Tensor, gate: Float[Tensor, "B T E"]) -> Sums:
    """Sums over tokens of what a block's scan goes through, from a state of zeros."""
    N = block.config.states
    low, B, C = chosen.split([block.config.step_rank, N, N], dim=-1)
    step = F.softplus(F.linear(low, block.dt_proj.weight.double(), block.dt_proj.bias.double()))
    A, power = -block.A_log.double().exp(), F.silu(gate).square()
    state, held, pairs = x.new_zeros(len(x), *A.shape), 0, []
    for u, delta, rows, columns, weight in zip(*(one.unbind(1) for one in (x, step, B, C, power)), strict=True):
        _, state = selective_scan_step(state, u, delta, A, rows, columns)
        held = held + state.square().sum(0)
        pairs.append(torch.einsum("be,bei,bej->bij", weight, state, state))
    read = C.unsqueeze(-1) * C.unsqueeze(-2)
    joint = torch.stack(pairs, 1).flatten(0, 1).flatten(1).T @ read.flatten(0, 1).flatten(1)
    return {
        "joint": joint.view(N, N, N, N),
        "held": held,
        "reading": C.square().sum((0, 1)),
        "gate": power.sum((0, 1)),
        "step": step.sum((0, 1)),
        "tokens": torch.tensor(x.shape[0] * x.shape[1]),
    }


def _means(number: int, block: MambaBlock, total: Sums) -> Moments:
    if not total:
        raise ValueError(f"Mamba block {number} of the model saw no token of the data: its states cannot be compared")
    means = {name: (value / total["tokens"]).cpu() for name, value in total.items() if name != "tokens"}
    for name, value in means.items():
        check_finite(f"{name} of Mamba block {number}", value)
    step, rate = means.pop("step").unsqueeze(1), block.A_log.detach().cpu().double().exp()
    return Moments(**means, decay=torch.exp(-step * rate), rate=rate)
