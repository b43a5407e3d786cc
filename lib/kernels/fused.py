"""The scan as two Triton kernels: a program per sequence and block of channels walks over time, states in registers.

The forward pass keeps the state before every CHUNK tokens. The backward pass takes the chunks from the last to the
first: it recomputes a chunk's states from its checkpoint, then carries the state's gradient g back through it,

    g[t] = C[t] dy[t] + exp(delta[t+1] A) g[t+1]

Sums over channels and over sequences go through buffers that torch adds up: no atomics, the same result every time.
States and sums are float32; inputs are float32, bfloat16 or float16, of any strides. Sizes of blocks and chunks are
reasoned, not tuned. Triton is imported at the first call: this module loads without it.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec

import torch
from torch import Tensor

CHUNK = 64  # tokens between checkpoints: T / CHUNK states are kept, and CHUNK more while the backward pass runs
TILE = 512  # channels times states of a program: 16 values per thread of one warp, some seven such tiles live at once

tl = None  # triton.language, once `_load` has run
_sources: list[Callable] = []
_spec = cache(find_spec)


def unavailable(device: torch.device, dtype: torch.dtype) -> str | None:
    """Why Triton cannot serve. Its interpreter, for tests, serves a CPU: TRITON_INTERPRET=1 before the first call."""
    if _spec("triton") is None:
        return "triton is not installed"
    if device.type == "cuda":
        if not torch.cuda.is_available():
            return "no CUDA device is available"
        major, minor = torch.cuda.get_device_capability(device)
        if major < 8:
            return f"compute capability {major}.{minor}: triton's releases serve 8.0 and newer; a T4 takes torch"
    elif os.environ.get("TRITON_INTERPRET") != "1":
        return f"triton's kernels run on CUDA devices, not on {device.type}"
    if dtype == torch.float64:
        return "float64 is for torch and ref"
    return _fault(device) if device.type == "cuda" else None


def about() -> str:
    return "one fused Triton kernel each way"


def forward(u, delta, A, B, C, D, z, delta_bias, initial_state, delta_softplus, keep):
    grid, sizes, options = _plan(u, A, B, C, delta_softplus)
    out, last = torch.empty_like(u), A.new_empty(len(u), *A.shape)
    saved = A.new_empty(len(u), -(-u.shape[2] // CHUNK), *A.shape) if keep else None
    views, buffers = tuple(map(_view, (u, delta, z, out))), (_dense(initial_state), last, saved)
    with torch.cuda.device_of(u):
        _forward[grid](views, _weights(A, B, C, D, delta_bias), buffers, sizes, **options)
    return out, last, saved


def backward(grad_out, grad_last, saved, u, delta, A, B, C, D, z, delta_bias, initial_state, delta_softplus):
    (batch, channels, length), states = u.shape, A.shape[1]
    grid, sizes, options = _plan(u, A, B, C, delta_softplus)
    du, ddelta, dz = (x if x is None else torch.empty_like(x) for x in (u, delta, z))
    dstate, dA = A.new_empty(2, batch, channels, states)
    dB, dC = (A.new_empty(dA.shape if x.ndim == 2 else (grid[1], batch, length, states)) for x in (B, C))
    dD, dbias = A.new_empty(2, batch, channels)
    scratch = A.new_empty(min(CHUNK, length), batch, channels, states)
    views = tuple(map(_view, (u, delta, z, grad_out, du, ddelta, dz)))
    buffers = (_dense(grad_last), dstate, saved, scratch, dA, dB, dC, dD, dbias)
    with torch.cuda.device_of(u):
        _backward[grid](views, _weights(A, B, C, D, delta_bias), buffers, sizes, **options)
    dB, dC = _by_group(dB, B), _by_group(dC, C)
    dD, dbias = (None if x is None else dx.sum(0) for x, dx in ((D, dD), (delta_bias, dbias)))
    return du, ddelta, dA.sum(0), dB, dC, dD, dz, dbias, None if initial_state is None else dstate


def _plan(u: Tensor, A: Tensor, B: Tensor, C: Tensor, softplus: bool) -> tuple[tuple, tuple, dict]:
    """Grid, sizes and options. Channels of a `run` have one group of B and one of C; a block lies within a run."""
    _load()
    (batch, channels, length), states = u.shape, A.shape[1]
    run = math.gcd(*(channels // x.shape[1] for x in (B, C) if x.ndim == 4)) or channels
    cols = 1 << (states - 1).bit_length()
    rows = min(64, 1 << (run - 1).bit_length(), max(1, TILE // cols))
    warps = min(8, max(1, rows * cols // TILE))
    options = {"SOFTPLUS": softplus, "CHUNK": CHUNK, "ROWS": rows, "COLS": cols, "num_warps": warps}
    return (batch, channels // run * -(-run // rows)), (channels, states, length, run), options


def _weights(A: Tensor, B: Tensor, C: Tensor, D: Tensor | None, bias: Tensor | None) -> tuple:
    """B and C come with their strides and, unless static, with the number of channels in a group."""
    B, C = (_view(x) if x.ndim == 2 else (*_view(x), len(A) // x.shape[1]) for x in (B, C))
    return _dense(A), B, C, _dense(D), _dense(bias)


def _by_group(buffer: Tensor, x: Tensor) -> Tensor:
    """The gradient of x, B or C, from each sequence's (D, N), or from each block's and sequence's (T, N)."""
    if x.ndim == 2:
        return buffer.sum(0)
    return buffer.unflatten(0, (x.shape[1], -1)).sum(1).permute(1, 0, 3, 2).to(x.dtype)


def _view(x: Tensor | None) -> tuple | None:
    return None if x is None else (x, *x.stride())


def _dense(x: Tensor | None) -> Tensor | None:
    return None if x is None else x.contiguous()


@cache
def _fault(device: torch.device) -> str | None:
    """What goes wrong in a scan of one token on this GPU, if anything: triton needs a C compiler there, for one."""
    one = torch.ones(1, 1, 1, device=device)
    try:
        out, *_ = forward(one, one, one[0], one[None], one[None], None, None, None, None, False, False)
        return None if out.item() == 1 else f"its kernels compute {out.item()} on {device} for a sum of one"
    except Exception as error:  # whatever it is, `auto` goes on to the next backend, and says why
        return f"its kernels do not run on {device}: {error}"


@cache
def _load() -> None:
    import triton

    globals().update({source.__name__: triton.jit(source) for source in _sources}, tl=triton.language)


def _kernel(source: Callable) -> Callable:
    """Set a function aside for `_load`, which puts the compiled one in its place."""
    _sources.append(source)
    return source


@_kernel
def _sigmoid(x):
    small = tl.exp(-tl.abs(x))
    return tl.where(x >= 0, 1.0, small) / (1.0 + small)


@_kernel
def _step(raw, SOFTPLUS: tl.constexpr):
    """softplus(x) = max(x, 0) + log(1 + e), e = exp(-|x|); the log as 2 artanh(e / (2 + e)), exact for small e too."""
    if SOFTPLUS:
        small = tl.exp(-tl.abs(raw))
        ratio = small / (2.0 + small)  # at most 1/3: the first term left out is below float32's resolution
        square = ratio * ratio
        series = 1 / 9 + square * (1 / 11 + square * (1 / 13 + square * (1 / 15)))
        series = 1.0 + square * (1 / 3 + square * (1 / 5 + square * (1 / 7 + square * series)))
        return tl.maximum(raw, 0.0) + 2.0 * ratio * series
    else:
        return raw


@_kernel
def _read(x, at, mask):
    if x is None:
        return tl.where(mask, 0.0, 0.0)
    else:
        return tl.load(x + at, mask=mask, other=0.0).to(tl.float32)


@_kernel
def _tile(sizes, ROWS: tl.constexpr, COLS: tl.constexpr):
    """This program's channels and states, their place in a (D, N), and masks of the three."""
    _channels, states, _length, run = sizes
    blocks = (run + ROWS - 1) // ROWS
    first = tl.program_id(1) // blocks * run
    d = first + tl.program_id(1) % blocks * ROWS + tl.arange(0, ROWS)
    in_d = d < first + run
    d, n = d.to(tl.int64), tl.arange(0, COLS).to(tl.int64)  # offsets may be beyond 32 bits
    in_n = n < states
    return d, n, d[:, None] * states + n[None, :], in_d, in_n, in_d[:, None] & in_n[None, :]


@_kernel
def _rows(view, d):
    """Where these channels of a (B, D, T), or groups of a (B, G, N, T), have their first token."""
    if view is None:
        return d
    else:
        return view[0] + tl.program_id(0).to(tl.int64) * view[1] + d * view[2]


@_kernel
def _matrix(view, d, n, in_n, inside):
    """Where B or C has its first token, (1, N), or all there is of it, (D, N); a mask; the values there."""
    if len(view) == 3:
        at, mask = view[0] + d[:, None] * view[1] + n[None, :] * view[2], inside
    else:
        at, mask = _rows(view, tl.min(d, axis=0) // view[5]) + n[None, :] * view[3], in_n[None, :]
    return at, mask, _read(at, 0, mask)


@_kernel
def _column(view, at, t, mask, fixed):
    """B or C at token t."""
    if len(view) == 3:
        return fixed
    else:
        return _read(at, t * view[4], mask)


@_kernel
def _forward(
    views, weights, buffers, sizes, SOFTPLUS: tl.constexpr, CHUNK: tl.constexpr, ROWS: tl.constexpr, COLS: tl.constexpr
):
    u, delta, z, out = views
    A, B, C, D, bias = weights
    initial, last, saved = buffers
    d, n, place, in_d, in_n, inside = _tile(sizes, ROWS, COLS)
    u_at, delta_at, z_at, out_at = _rows(u, d), _rows(delta, d), _rows(z, d), _rows(out, d)
    a, skip, shift = _read(A, place, inside), _read(D, d, in_d), _read(bias, d, in_d)
    b_at, b_in, b0 = _matrix(B, d, n, in_n, inside)
    c_at, c_in, c0 = _matrix(C, d, n, in_n, inside)
    sequence = tl.program_id(0).to(tl.int64)
    size = tl.cast(sizes[0], tl.int64) * sizes[1]
    length = tl.cast(sizes[2], tl.int64)
    chunks = (length + CHUNK - 1) // CHUNK
    h = _read(initial, sequence * size + place, inside)
    for k in range(chunks):
        if saved is not None:
            tl.store(saved + (sequence * chunks + k) * size + place, h, mask=inside)
        for t in range(k * CHUNK, tl.minimum(k * CHUNK + CHUNK, length)):
            x = _read(u_at, t * u[3], in_d)
            step = _step(_read(delta_at, t * delta[3], in_d) + shift, SOFTPLUS)
            b, c = _column(B, b_at, t, b_in, b0), _column(C, c_at, t, c_in, c0)
            h = tl.exp(step[:, None] * a) * h + (step * x)[:, None] * b
            y = tl.sum(h * c, axis=1) + skip * x
            if z is not None:
                gate = _read(z_at, t * z[3], in_d)
                y *= gate * _sigmoid(gate)
            tl.store(out_at + t * out[3], y, mask=in_d)
    tl.store(last + sequence * size + place, h, mask=inside)


@_kernel
def _backward(
    views, weights, buffers, sizes, SOFTPLUS: tl.constexpr, CHUNK: tl.constexpr, ROWS: tl.constexpr, COLS: tl.constexpr
):
    u, delta, z, grad, du, ddelta, dz = views
    A, B, C, D, bias = weights
    grad_last, dstate, saved, scratch, dA, dB, dC, dD, dbias = buffers
    d, n, place, in_d, in_n, inside = _tile(sizes, ROWS, COLS)
    u_at, delta_at, z_at, grad_at = _rows(u, d), _rows(delta, d), _rows(z, d), _rows(grad, d)
    du_at, ddelta_at, dz_at = _rows(du, d), _rows(ddelta, d), _rows(dz, d)
    a, skip, shift = _read(A, place, inside), _read(D, d, in_d), _read(bias, d, in_d)
    b_at, b_in, b0 = _matrix(B, d, n, in_n, inside)
    c_at, c_in, c0 = _matrix(C, d, n, in_n, inside)
    sequence, sequences = tl.program_id(0).to(tl.int64), tl.num_programs(0)
    size = tl.cast(sizes[0], tl.int64) * sizes[1]
    length = tl.cast(sizes[2], tl.int64)
    chunks = (length + CHUNK - 1) // CHUNK
    own = sequence * size + place
    tokens = (tl.program_id(1) * sequences + sequence) * length  # before this program's, in dB and dC
    sum_a, sum_b, sum_c = (tl.zeros([ROWS, COLS], tl.float32),) * 3
    sum_skip, sum_shift = (tl.zeros([ROWS], tl.float32),) * 2
    g = _read(grad_last, own, inside)
    for back in range(chunks):
        k = chunks - 1 - back
        stop = tl.minimum(k * CHUNK + CHUNK, length)
        h = _read(saved, (sequence * chunks + k) * size + place, inside)
        for t in range(k * CHUNK, stop):
            tl.store(scratch + t % CHUNK * sequences * size + own, h, mask=inside)
            x = _read(u_at, t * u[3], in_d)
            step = _step(_read(delta_at, t * delta[3], in_d) + shift, SOFTPLUS)
            h = tl.exp(step[:, None] * a) * h + (step * x)[:, None] * _column(B, b_at, t, b_in, b0)
        tl.debug_barrier()  # threads read what others have stored
        for i in range(stop - k * CHUNK):
            t = stop - 1 - i
            before = _read(scratch, t % CHUNK * sequences * size + own, inside)
            x, dy = _read(u_at, t * u[3], in_d), _read(grad_at, t * grad[3], in_d)
            raw = _read(delta_at, t * delta[3], in_d) + shift
            step = _step(raw, SOFTPLUS)
            b, c = _column(B, b_at, t, b_in, b0), _column(C, c_at, t, c_in, c0)
            decay, inflow = tl.exp(step[:, None] * a), (step * x)[:, None]
            h = decay * before + inflow * b
            if z is not None:
                gate = _read(z_at, t * z[3], in_d)
                sigmoid = _sigmoid(gate)
                y = tl.sum(h * c, axis=1) + skip * x
                tl.store(dz_at + t * dz[3], dy * y * sigmoid * (1.0 + gate * (1.0 - sigmoid)), mask=in_d)
                dy *= gate * sigmoid
            g += dy[:, None] * c
            by_input = tl.sum(g * b, axis=1)
            by_decay = g * decay * before
            dstep = tl.sum(by_decay * a, axis=1) + by_input * x
            if SOFTPLUS:
                dstep *= _sigmoid(raw)
            tl.store(du_at + t * du[3], by_input * step + skip * dy, mask=in_d)
            tl.store(ddelta_at + t * ddelta[3], dstep, mask=in_d)
            if len(B) == 3:
                sum_b += g * inflow
            else:
                tl.store(dB + (tokens + t) * sizes[1] + n, tl.sum(g * inflow, axis=0), mask=in_n)
            if len(C) == 3:
                sum_c += dy[:, None] * h
            else:
                tl.store(dC + (tokens + t) * sizes[1] + n, tl.sum(dy[:, None] * h, axis=0), mask=in_n)
            sum_a += by_decay * step[:, None]
            sum_skip += dy * x
            sum_shift += dstep
            g *= decay
        tl.debug_barrier()  # all have read before the next chunk overwrites
    tl.store(dstate + own, g, mask=inside)
    tl.store(dA + own, sum_a, mask=inside)
    if len(B) == 3:
        tl.store(dB + own, sum_b, mask=inside)
    if len(C) == 3:
        tl.store(dC + own, sum_c, mask=inside)
    tl.store(dD + sequence * sizes[0] + d, sum_skip, mask=in_d)
    tl.store(dbias + sequence * sizes[0] + d, sum_shift, mask=in_d)
