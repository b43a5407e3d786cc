"""The torch backend: chunk after chunk, on any device and in any float. Contract: `lib.kernels`.

Within a chunk, decays, inputs and read-outs are computed for all steps at once; only `h[t] += a[t] h[t-1]` goes step
by step. The state is carried from chunk to chunk, nothing is divided by a product of decays, and the backward pass
computes each chunk again from the state it started with: memory grows with T / chunk, not with T times N.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

ELEMENTS = 2**19  # numbers in one of a chunk's buffers: about what a processor's cache holds
FEWEST, MOST = 16, 256  # steps of a chunk


def unavailable(device: torch.device, dtype: torch.dtype) -> str | None:
    return None


def about() -> str:
    return "torch, chunk by chunk; runs everywhere"


def forward(u, delta, A, B, C, D, z, delta_bias, initial_state, delta_softplus, keep):
    batch, _, length = u.shape
    state = A.new_zeros(batch, *A.shape) if initial_state is None else initial_state.clone()
    size = _steps(batch, A)
    out = torch.empty_like(u)
    saved = A.new_empty(math.ceil(length / size), *state.shape) if keep else None
    decays, states = A.new_empty(2, size, *state.shape)
    for number, start in enumerate(range(0, length, size)):
        if keep:
            saved[number] = state
        now = slice(start, start + size)
        x, step = _time_first(u, now, A), _step_size(delta, delta_bias, delta_softplus, now, A)[0]
        a, h = decays[: len(x)], states[: len(x)]
        _run(state, step, step * x, A, _rows(B, now, A), a, h)
        y = _contract(h, _rows(C, now, A))
        if D is not None:
            y = y.addcmul_(x, D)
        if z is not None:
            y = y.mul_(F.silu(_time_first(z, now, A)))
        out[..., now] = y.permute(1, 2, 0)
        state.copy_(h[-1])
    return out, state, saved


def backward(grad_out, grad_last, saved, u, delta, A, B, C, D, z, delta_bias, initial_state, delta_softplus):
    batch, channels, length = u.shape
    size = _steps(batch, A)
    grad_u, grad_delta, grad_z = (None if x is None else torch.empty_like(x) for x in (u, delta, z))
    grad_A, grad_D, grad_bias = torch.zeros_like(A), A.new_zeros(channels), A.new_zeros(channels)
    grad_B, grad_C = torch.zeros_like(B), torch.zeros_like(C)
    carry = A.new_zeros(batch, *A.shape) if grad_last is None else grad_last.clone()
    decays, states, adjoint = A.new_empty(3, size, *carry.shape)
    for number, start in reversed(list(enumerate(range(0, length, size)))):
        now = slice(start, start + size)
        x, (step, slope) = _time_first(u, now, A), _step_size(delta, delta_bias, delta_softplus, now, A)
        row_B, row_C, dy = _rows(B, now, A), _rows(C, now, A), _time_first(grad_out, now, A)
        a, h, g = decays[: len(x)], states[: len(x)], adjoint[: len(x)]
        _run(saved[number], step, step * x, A, row_B, a, h)
        if z is not None:
            gate = _time_first(z, now, A)
            y = _contract(h, row_C)
            y = y if D is None else y.addcmul_(x, D)
            sigmoid = gate.sigmoid()
            grad_z[..., now] = (dy * y * sigmoid * (1 + gate * (1 - sigmoid))).permute(1, 2, 0)
            dy = dy * gate * sigmoid

        _outer(dy, row_C, out=g)  # dy reaches a state through C now, and through all later states
        g[-1] += carry
        later = zip(reversed(g[:-1].unbind()), reversed(a[1:].unbind()), reversed(g[1:].unbind()), strict=True)
        for here, decay, after in later:
            here.addcmul_(decay, after)
        _put(grad_C, now, dy, h)
        _put(grad_B, now, step * x, g)
        grad_x = _contract(g, row_B)
        carry = a[0] * g[0]

        a.mul_(g)  # from here on: the gradient of step A
        a[0].mul_(saved[number])
        a[1:].mul_(h[:-1])
        grad_step = torch.mul(a, A, out=g).sum(-1).addcmul_(grad_x, x).mul_(slope)
        grad_A += a.mul_(step.unsqueeze(-1)).sum((0, 1))
        grad_x.mul_(step)
        if D is not None:
            grad_x.addcmul_(dy, D)
            grad_D += (dy * x).sum((0, 1))
        grad_bias += grad_step.sum((0, 1))
        grad_u[..., now], grad_delta[..., now] = grad_x.permute(1, 2, 0), grad_step.permute(1, 2, 0)
    return (
        grad_u,
        grad_delta,
        grad_A,
        grad_B,
        grad_C,
        None if D is None else grad_D,
        grad_z,
        None if delta_bias is None else grad_bias,
        None if initial_state is None else carry,
    )


def _steps(batch: int, A: Tensor) -> int:
    return max(FEWEST, min(MOST, ELEMENTS // (batch * A.numel())))


def _time_first(x: Tensor, now: slice, A: Tensor) -> Tensor:
    return x[..., now].permute(2, 0, 1).to(A.dtype, memory_format=torch.contiguous_format)


def _step_size(delta, bias, softplus: bool, now: slice, A: Tensor) -> tuple[Tensor, Tensor | float]:
    """Step sizes (Q, B, D), and their slope over delta."""
    raw = _time_first(delta, now, A)
    raw = raw if bias is None else raw + bias
    return (F.softplus(raw), raw.sigmoid()) if softplus else (raw, 1.0)


def _rows(matrix: Tensor, now: slice, A: Tensor) -> Tensor:
    """B or C of a chunk as (Q, B, G, N), or (D, N) where it does not vary."""
    return matrix if matrix.ndim == 2 else matrix[..., now].permute(3, 0, 1, 2).to(A.dtype)


def _run(state, step, x, A, row_B, decays: Tensor, states: Tensor) -> None:
    """Fill `decays` and `states` (Q, B, D, N) of a chunk that starts from `state`."""
    torch.mul(step.unsqueeze(-1), A, out=decays).exp_()
    _outer(x, row_B, out=states)
    before = state
    for decay, here in zip(decays.unbind(), states.unbind(), strict=True):
        before = here.addcmul_(decay, before)


def _outer(x: Tensor, rows: Tensor, out: Tensor) -> None:
    """(Q, B, D) times rows, channel by channel of a group: (Q, B, D, N)."""
    if rows.ndim == 2:
        torch.mul(x.unsqueeze(-1), rows, out=out)
    else:
        groups = rows.shape[2]
        torch.mul(x.unflatten(2, (groups, -1)).unsqueeze(-1), rows.unsqueeze(3), out=out.unflatten(2, (groups, -1)))


def _contract(states: Tensor, rows: Tensor) -> Tensor:
    """(Q, B, D, N) times rows, summed over the states: (Q, B, D)."""
    if rows.ndim == 2:
        return (states * rows).sum(-1)
    return (states.unflatten(2, (rows.shape[2], -1)) @ rows.unsqueeze(-1)).flatten(2)


def _put(grad: Tensor, now: slice, x: Tensor, states: Tensor) -> None:
    """The gradient of rows: (Q, B, D) times (Q, B, D, N), summed over the channels of a group, or over all but them."""
    if grad.ndim == 2:
        grad += (states * x.unsqueeze(-1)).sum((0, 1))
    else:
        groups = grad.shape[1]
        rows = x.unflatten(2, (groups, -1)).unsqueeze(3) @ states.unflatten(2, (groups, -1))
        grad[..., now] = rows.squeeze(3).permute(1, 2, 3, 0)
