"""The device functions of `lib.kernels.scan.triton`, and the only module that imports Triton.

A view is (pointer, strides...) of a tensor, or None for one that is left out: Triton specialises on that.
"""

import triton
import triton.language as tl


@triton.jit
def _sigmoid(x):
    small = tl.exp(-tl.abs(x))
    return tl.where(x >= 0, 1.0, small) / (1.0 + small)


@triton.jit
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


@triton.jit
def _read(x, at, mask):
    if x is None:
        return tl.where(mask, 0.0, 0.0)
    else:
        return tl.load(x + at, mask=mask, other=0.0).to(tl.float32)


@triton.jit
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


@triton.jit
def _rows(view, d):
    """Where these channels of a (B, D, T), or groups of a (B, G, N, T), have their first token."""
    if view is None:
        return d
    else:
        return view[0] + tl.program_id(0).to(tl.int64) * view[1] + d * view[2]


@triton.jit
def _matrix(view, d, n, in_n, inside):
    """Where B or C has its first token, (1, N), or all there is of it, (D, N); a mask; the values there."""
    if len(view) == 3:
        at, mask = view[0] + d[:, None] * view[1] + n[None, :] * view[2], inside
    else:
        at, mask = _rows(view, tl.min(d, axis=0) // view[5]) + n[None, :] * view[3], in_n[None, :]
    return at, mask, _read(at, 0, mask)


@triton.jit
def _column(view, at, t, mask, fixed):
    """B or C at token t."""
    if len(view) == 3:
        return fixed
    else:
        return _read(at, t * view[4], mask)


@triton.jit
def forward_kernel(
    views, weights, buffers, sizes, SOFTPLUS: tl.constexpr, CHUNK: tl.constexpr, ROWS: tl.constexpr, COLS: tl.constexpr
):
    """Output, last state and, where a backward pass follows, the state before every chunk."""
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


@triton.jit
def backward_kernel(
    views, weights, buffers, sizes, SOFTPLUS: tl.constexpr, CHUNK: tl.constexpr, ROWS: tl.constexpr, COLS: tl.constexpr
):
    """Gradients of all inputs, chunk by chunk from the last one."""
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
