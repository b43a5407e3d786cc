"""The scan as two Triton kernels: a program per sequence and block of channels goes through time, states in registers.

The forward pass keeps the state before every CHUNK tokens. The backward pass takes the chunks from the last to the
first: it recomputes a chunk's states from its checkpoint, then carries the state's gradient g back through it,

    g[t] = C[t] dy[t] + exp(delta[t+1] A) g[t+1]

Sums over channels and over sequences go through buffers that torch adds up: no atomics, the same result every time.
States and sums are float32; inputs are float32, bfloat16 or float16, of any strides. Sizes of blocks and chunks are
reasoned, not tuned. The device functions are in `lib.kernels.scan.triton_jit`: this module loads without Triton.
"""

import importlib
import math
import os
from functools import cache
from importlib.util import find_spec
from types import ModuleType

import torch
from torch import Tensor

CHUNK = 64  # tokens between checkpoints: T / CHUNK states are kept, and CHUNK more while the backward pass runs
TILE = 512  # channels times states of a program: 16 values per thread of one warp, some seven such tiles live at once

_spec = cache(find_spec)


def unavailable(device: torch.device, dtype: torch.dtype) -> str | None:
    """Why the Triton backend cannot serve inputs of that device and dtype, or None.

    Triton's interpreter, for tests, serves a CPU: TRITON_INTERPRET=1 before the first call.
    """
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
    """What the Triton backend is, in a few words."""
    return "one fused Triton kernel each way"


def forward(u, delta, A, B, C, D, z, delta_bias, initial_state, delta_softplus, keep):
    """Scan in one kernel; arguments and results as in the contract."""
    grid, sizes, options = _plan(u, A, B, C, delta_softplus)
    out, last = torch.empty_like(u), A.new_empty(len(u), *A.shape)
    saved = A.new_empty(len(u), -(-u.shape[2] // CHUNK), *A.shape) if keep else None
    views, buffers = tuple(map(_view, (u, delta, z, out))), (_dense(initial_state), last, saved)
    with torch.cuda.device_of(u):
        _kernels().forward_kernel[grid](views, _weights(A, B, C, D, delta_bias), buffers, sizes, **options)
    return out, last, saved


def backward(grad_out, grad_last, saved, u, delta, A, B, C, D, z, delta_bias, initial_state, delta_softplus):
    """Gradients of the scan in one kernel; arguments and results as in the contract."""
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
        _kernels().backward_kernel[grid](views, _weights(A, B, C, D, delta_bias), buffers, sizes, **options)
    dB, dC = _by_group(dB, B), _by_group(dC, C)
    dD, dbias = (None if x is None else dx.sum(0) for x, dx in ((D, dD), (delta_bias, dbias)))
    return du, ddelta, dA.sum(0), dB, dC, dD, dz, dbias, None if initial_state is None else dstate


def _plan(u: Tensor, A: Tensor, B: Tensor, C: Tensor, softplus: bool) -> tuple[tuple, tuple, dict]:
    """Grid, sizes and options. Channels of a `run` have one group of B and one of C; a block lies within a run."""
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


def _kernels() -> ModuleType:
    """The device functions, whose module imports triton: late, and not at all where triton is not used."""
    return importlib.import_module("lib.kernels.scan.triton_jit")
