"""The torch backend: chunk after chunk, on any device and in any float. Contract: `lib.kernels.scan`.

Within a chunk, decays, inputs and read-outs are computed for all steps at once; only `h[t] += a[t] h[t-1]` goes step
by step. The state is carried from chunk to chunk, nothing is divided by a product of decays, and the backward pass
computes each chunk again from the state it started with: memory grows with T / chunk, not with T times N.

Inside, everything is (Q, B, G, N, W) or broadcasts to it: Q steps of a chunk, G groups of W channels. The channels
come last, so that a product over states or channels is one batch of contiguous matrix products.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from lib.kernels.scan.borders import Borders, Flow
from lib.kernels.scan.layout import like

ELEMENTS = 2**19  # numbers in one of a chunk's buffers: about what a processor's cache holds
FEWEST, MOST = 16, 256  # steps of a chunk


def unavailable(device: torch.device, dtype: torch.dtype) -> str | None:
    """Why the torch backend cannot serve: it always can."""
    return None


def about() -> str:
    """What the torch backend is, in a few words."""
    return "torch, chunk by chunk; runs everywhere"


def forward(u, delta, A, B, C, D, z, delta_bias, initial_state, delta_softplus, keep, seq_idx=None, sequences=0):
    """Scan chunk by chunk; arguments and results as in the contract."""
    size, groups = _steps(u, A), _groups(B, C)
    A, D, delta_bias, initial_state = (_constant(x, groups) for x in (A, D, delta_bias, initial_state))
    flow = Flow(Borders(seq_idx, sequences), initial_state, A.new_zeros(len(u), *A.shape))
    state = flow.begin()
    out = like(u)
    saved = A.new_empty(-(-u.shape[2] // size), *state.shape) if keep else None
    decays, states = A.new_empty(2, size, *state.shape)
    for number, start in enumerate(range(0, u.shape[2], size)):
        if keep:
            saved[number] = state
        now = slice(start, start + size)
        x, (step, _) = _tokens(u, now, A), _step_size(delta, delta_bias, delta_softplus, now, A)
        a, h = decays[: len(x)], states[: len(x)]
        _run(state, step, step * x, A, _rows(B, now, A), a, h, flow, start)
        y = _contract(h, _rows(C, now, A))
        if D is not None:
            y.addcmul_(x, D)
        if z is not None:
            y.mul_(F.silu(_tokens(z, now, A)))
        _put_tokens(out, now, y)
        state.copy_(h[-1])
    return out, _channels(flow.end(state)).mT.contiguous(), saved


def backward(
    grad_out, grad_last, saved, u, delta, A, B, C, D, z, delta_bias, initial_state, delta_softplus,
    seq_idx=None, sequences=0,
):  # fmt: skip
    """Gradients of the scan, chunk by chunk from the last one; arguments and results as in the contract."""
    size, groups = _steps(u, A), _groups(B, C)
    A, D, delta_bias, grad_last, coming = (_constant(x, groups) for x in (A, D, delta_bias, grad_last, initial_state))
    grad_u, grad_delta, grad_z = (None if x is None else like(x) for x in (u, delta, z))
    grad_B, grad_C = (x.new_zeros(x.shape) if x.ndim == 2 else like(x) for x in (B, C))
    grad_A, grad_D, grad_bias = torch.zeros_like(A), 0, 0
    borders, zeros = Borders(seq_idx, sequences), A.new_zeros(len(u), *A.shape)
    flow, back = Flow(borders, coming, zeros), Flow(borders, grad_last, zeros, back=True)
    carry = back.begin()
    decays, states, adjoint = A.new_empty(3, size, *carry.shape)
    for number, start in reversed(list(enumerate(range(0, u.shape[2], size)))):
        now = slice(start, start + size)
        x, (step, slope) = _tokens(u, now, A), _step_size(delta, delta_bias, delta_softplus, now, A)
        row_B, row_C, dy = _rows(B, now, A), _rows(C, now, A), _tokens(grad_out, now, A)
        a, h, g = decays[: len(x)], states[: len(x)], adjoint[: len(x)]
        inflow = step * x
        _run(saved[number], step, inflow, A, row_B, a, h, flow, start)
        if z is not None:
            gate, y = _tokens(z, now, A), _contract(h, row_C)
            y = y if D is None else y.addcmul_(x, D)
            sigmoid = gate.sigmoid()
            silu = gate * sigmoid
            _put_tokens(grad_z, now, y.mul_(dy).mul_(sigmoid * (1 + gate * (1 - sigmoid))))
            dy = dy * silu

        torch.mul(dy, row_C, out=g)  # dy reaches a state through C now, and through all later states
        g[-1] += carry
        crossed = borders.within(start, len(x))
        later = zip(reversed(g[:-1].unbind()), reversed(a[1:].unbind()), reversed(g[1:].unbind()), strict=True)
        for t, (here, decay, after) in zip(range(start + len(x) - 1, start, -1), later, strict=True):
            if t in borders.at:
                here.add_(back.cross(t, decay * after))
            else:
                here.addcmul_(decay, after)
        _put_rows(grad_C, now, dy, h)
        _put_rows(grad_B, now, inflow, g)
        grad_x = _contract(g, row_B)
        carry = back.cross(start, a[0] * g[0])

        a.mul_(g)  # from here on: the gradient of step A
        if crossed:
            for t, before in enumerate((saved[number], *h[:-1].unbind())):
                a[t].mul_(flow.cross(start + t, before))
        else:
            a[0].mul_(saved[number])
            a[1:].mul_(h[:-1])
        grad_step = torch.mul(a, A, out=g).sum(-2, keepdim=True).addcmul_(grad_x, x).mul_(slope)
        grad_A += a.mul_(step).sum((0, 1))
        grad_x.mul_(step)
        if D is not None:
            grad_x.addcmul_(dy, D)
            grad_D += (dy * x).sum((0, 1))
        if delta_bias is not None:
            grad_bias += grad_step.sum((0, 1))
        _put_tokens(grad_u, now, grad_x)
        _put_tokens(grad_delta, now, grad_step)
    return (
        grad_u,
        grad_delta,
        _channels(grad_A).mT.contiguous(),
        grad_B,
        grad_C,
        None if D is None else grad_D.flatten(),
        grad_z,
        None if delta_bias is None else grad_bias.flatten(),
        None if initial_state is None else _channels(back.end(carry)).mT.contiguous(),
    )


def saved_shape(u, A, B, C):
    """Shape of the states that chunks start from, (chunks, B, G, N, D / G)."""
    chunks, groups = -(-u.shape[2] // _steps(u, A)), _groups(B, C)
    return chunks, u.shape[0], groups, A.shape[1], A.shape[0] // groups


def _steps(u: Tensor, A: Tensor) -> int | torch.SymInt:
    fitting = ELEMENTS // (u.shape[0] * A.numel())
    return torch.sym_min(u.shape[2], torch.sym_max(FEWEST, torch.sym_min(MOST, fitting)))


def _groups(B: Tensor, C: Tensor) -> int:
    return math.lcm(*(x.shape[1] for x in (B, C) if x.ndim == 4))


def _constant(x: Tensor | None, groups: int) -> Tensor | None:
    """(..., D, N) as (..., G, N, W), and (D,) as (G, 1, W)."""
    if x is None:
        return None
    x = x.unsqueeze(-1) if x.ndim == 1 else x
    return x.unflatten(-2, (groups, -1)).mT.contiguous()


def _channels(x: Tensor) -> Tensor:
    """(..., G, N, W) as (..., N, D)."""
    return x.transpose(-3, -2).flatten(-2)


def _tokens(x: Tensor, now: slice, A: Tensor) -> Tensor:
    """(B, D, T) of a chunk as (Q, B, G, 1, W)."""
    x = x[..., now].permute(2, 0, 1).to(A.dtype, memory_format=torch.contiguous_format)
    return x.unflatten(2, (len(A), 1, -1))


def _put_tokens(to: Tensor, now: slice, x: Tensor) -> None:
    to[..., now] = x.flatten(2).permute(1, 2, 0)


def _step_size(delta, bias, softplus: bool, now: slice, A: Tensor) -> tuple[Tensor, Tensor | float]:
    """Step sizes, and their slope with respect to delta."""
    raw = _tokens(delta, now, A)
    raw = raw if bias is None else raw + bias
    return (F.softplus(raw), raw.sigmoid()) if softplus else (raw, 1.0)


def _rows(matrix: Tensor, now: slice, A: Tensor) -> Tensor:
    """B or C of a chunk as (Q, B, G, N, 1); as (G, N, W) where it does not vary."""
    if matrix.ndim == 2:
        return _constant(matrix, len(A))
    rows = matrix[..., now].permute(3, 0, 1, 2).to(A.dtype).unsqueeze(-1)
    return rows.repeat_interleave(len(A) // matrix.shape[1], dim=2)


def _put_rows(grad: Tensor, now: slice, x: Tensor, states: Tensor) -> None:
    """Add the gradient of rows of B or C: x times states, summed over the channels of a group, or over all else."""
    if grad.ndim == 2:
        grad += _channels((states * x).sum((0, 1))).mT
    else:
        rows = (x @ states.mT).unflatten(2, (grad.shape[1], -1)).sum(3)  # twice as fast as states @ x.mT, at the least
        grad[..., now] = rows.squeeze(-2).permute(1, 2, 3, 0)


def _run(state, step, x, A, row_B, decays: Tensor, states: Tensor, flow: Flow, start: int) -> None:
    """Fill `decays` and `states` of a chunk that begins at the token `start`, with `state` before it."""
    torch.mul(step, A, out=decays).exp_()
    torch.mul(x, row_B, out=states)
    before = state
    for t, (decay, here) in enumerate(zip(decays.unbind(), states.unbind(), strict=True), start):
        before = here.addcmul_(decay, flow.cross(t, before))


def _contract(states: Tensor, rows: Tensor) -> Tensor:
    """The sum over states of states times rows: (Q, B, G, 1, W)."""
    return rows.mT @ states if rows.ndim == 5 else (states * rows).sum(-2, keepdim=True)
