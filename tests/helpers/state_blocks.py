"""Mamba blocks whose states are chosen: small models, and what their scans go through, by the definition."""

import torch
from seeded_mambas import seeded
from torch import Tensor
from torch.nn import functional as F

from lib.models.ssm.mamba import MambaLM
from lib.models.ssm.mamba_block import MambaBlock
from lib.models.ssm.scan import selective_scan_ref

STATES = 5


def model(seed: int = 0, **options) -> MambaLM:
    """Two blocks of 5 states in double precision, all weights away from their start."""
    return seeded(MambaLM, seed=seed, **{"states": STATES} | options).double()


def without(model: MambaLM, *states: int) -> MambaLM:
    """The same model with states that nobody reads, as their rows of C are zero."""
    with torch.no_grad():
        for layer in model.backbone.layers:
            block = layer["mixer"]
            C = block.x_proj.weight[-block.config.states :]
            C[list(states)] = 0
    return model


def inputs(model: MambaLM, tokens: Tensor) -> list[Tensor]:
    """What each block of a model is given."""
    seen, hooks = [], []
    for layer in model.backbone.layers:
        hooks.append(layer["mixer"].register_forward_pre_hook(lambda _, given: seen.append(given[0].detach())))
    model(tokens)
    for hook in hooks:
        hook.remove()
    return seen


def parts(block: MambaBlock, x: Tensor) -> dict[str, Tensor]:
    """Arguments of a block's scan, by the equations of the paper."""
    with torch.no_grad():
        E, N, rank = block.config.channels, block.config.states, block.config.step_rank
        u, z = (x @ block.in_proj.weight.T).split(E, dim=-1)
        taps = block.conv1d.weight.shape[-1]
        u = F.silu(F.conv1d(F.pad(u.mT, (taps - 1, 0)), block.conv1d.weight, block.conv1d.bias, groups=E)).mT
        low, B, C = (u @ block.x_proj.weight.T).split([rank, N, N], dim=-1)
        delta = F.softplus(low @ block.dt_proj.weight.T + block.dt_proj.bias)
        A = -block.A_log.exp()
        return {"u": u.mT, "delta": delta.mT, "A": A, "B": B.mT, "C": C.mT, "z": z.mT}


def read(parts: dict[str, Tensor], state: int, by: int) -> Tensor:
    """(B, E, T): one state, read by a row of C, behind the gate; a scan of this state alone."""
    one, row = slice(state, state + 1), slice(by, by + 1)
    alone = {"A": parts["A"][:, one], "B": parts["B"][:, one], "C": parts["C"][:, row], "z": parts["z"]}
    return selective_scan_ref(parts["u"], parts["delta"], **alone)


def features(parts: dict[str, Tensor]) -> Tensor:
    """(N, N, B E T): every state, read by every row of C."""
    N = parts["A"].shape[1]
    return torch.stack([torch.stack([read(parts, i, m).flatten() for m in range(N)]) for i in range(N)])
