"""How large the terms are that a selective scan adds up, forward and backward: what its rounding is relative to.

A sum of n terms is off by some roundings of the sum of their magnitudes, however small it is itself. Here all products
of inputs count as they are in size: every function on the way has the magnitude of its value and of its slope.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

SIGNED = ("delta", "delta_bias", "z")  # what functions are taken of


class Magnitude(torch.autograd.Function):
    """The magnitudes of a function's value and of its slope at x."""

    @staticmethod
    def forward(ctx, x: Tensor, value: Tensor, slope: Tensor) -> Tensor:
        ctx.save_for_backward(slope.abs())
        return value.abs()

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple[Tensor, None, None]:
        return grad * ctx.saved_tensors[0], None, None


def magnitudes(inputs: dict[str, Tensor], softplus: bool, pulls: list[Tensor]) -> dict[str, Tensor]:
    """Sizes of output, last state and all gradients, by the names that the tests' `run` gives them.

    pulls   gradients of the output and, where it has one, of the last state
    """
    leaves = {name: (x if name in SIGNED else x.abs()).detach().double().requires_grad_() for name, x in inputs.items()}
    u, A = leaves["u"], leaves["A"]
    raw = leaves["delta"] + (leaves["delta_bias"].unsqueeze(1) if "delta_bias" in leaves else 0)
    step = Magnitude.apply(raw, F.softplus(raw.detach()), raw.detach().sigmoid()) if softplus else raw
    exponent = step.unsqueeze(-1) * A.unsqueeze(1)
    decay = torch.exp(-exponent.detach())
    decay = Magnitude.apply(exponent, decay, decay)
    B, C = (_by_token(leaves[name], u) for name in "BC")
    state = leaves.get("initial_state", torch.zeros(len(u), *A.shape, dtype=torch.float64))
    states = []
    for kept, inflow in zip(decay.unbind(2), ((step * u).unsqueeze(-1) * B).unbind(2), strict=True):
        state = kept * state + inflow
        states.append(state)
    out = (torch.stack(states, dim=2) * C).sum(-1)
    if "D" in leaves:
        out = out + leaves["D"].unsqueeze(1) * u
    if "z" in leaves:
        z = leaves["z"].detach()
        slope = z.sigmoid() * (1 + z * (1 - z.sigmoid()))
        out = out * Magnitude.apply(leaves["z"], F.silu(z), slope)
    ends = [pull.double().abs() for pull in pulls]
    gradients = torch.autograd.grad([out, state][: len(ends)], list(leaves.values()), ends)
    named = {f"grad of {name}": x for name, x in zip(leaves, gradients, strict=True)}
    return {"out": out.detach(), "last": state.detach()} | named


def _by_token(rows: Tensor, u: Tensor) -> Tensor:
    """B or C as (B, D, T, N)."""
    batch, channels, length = u.shape
    if rows.ndim == 2:
        return rows.unsqueeze(1).expand(batch, channels, length, -1)
    grouped = rows.unsqueeze(1) if rows.ndim == 3 else rows
    return grouped.repeat_interleave(channels // grouped.shape[1], dim=1).transpose(2, 3)
