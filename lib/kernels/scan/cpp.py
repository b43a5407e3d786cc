"""The C++ backend: `selective_scan.cpp`, called through ctypes. Contract: `lib.kernels.scan`."""

import functools
import math
import os
from ctypes import CDLL, POINTER, Structure, byref, c_int64, c_void_p

import torch
from torch import Tensor

from lib.kernels.build import library, unusable
from lib.kernels.scan.layout import like

MOST_PARTS = 16  # partial sums of the gradients of B and C: their number bounds the memory
MOST_BLOCKS = 8  # of channels a task: more of them share the rows of B and C, fewer keep all threads busy
FEW_TASKS = 2 * (os.cpu_count() or 1)  # not the number of threads: results must not depend on it


class View(Structure):
    """A tensor as `rows.h` reads it: address, strides of its axes, whether it is in bfloat16."""

    _fields_ = [("data", c_void_p), ("strides", c_int64 * 4), ("bfloat16", c_int64)]


class Problem(Structure):
    """One scan as `selective_scan.cpp` reads it."""

    _fields_ = [
        *[(name, c_int64) for name in ("batch", "channels", "length", "states", "groups", "groups_B", "groups_C")],
        *[(name, c_int64) for name in ("blocks", "softplus", "threads")],
        *[(name, View) for name in ("u", "delta", "z", "B", "C", "out")],
        *[(name, c_void_p) for name in ("A", "D", "bias", "initial", "last", "saved", "work")],
        *[(name, View) for name in ("grad_out", "grad_u", "grad_delta", "grad_z")],
        *[(name, c_void_p) for name in ("grad_last", "grad_A", "grad_B", "grad_C", "grad_D", "grad_bias")],
        *[("grad_initial", c_void_p), ("seq_idx", c_void_p), ("sequences", c_int64)],
    ]


def unavailable(device: torch.device, dtype: torch.dtype) -> str | None:
    """Why the C++ backend cannot serve inputs of that device and dtype, or None."""
    if device.type != "cpu":
        return "runs on a CPU"
    if dtype == torch.float64:
        return "computes in float32: float64 is for torch and ref"
    return unusable(_load, "the scan runs in torch, which is several times slower")


def about() -> str:
    """What the C++ backend is, in a few words, with its registers' width and its threads."""
    threads = f"{torch.get_num_threads()} threads" if _load().threaded() else "one thread, the compiler has no OpenMP"
    return f"C++, compiled for this CPU, {_load().lanes()} channels at a time, {threads}"


def forward(u, delta, A, B, C, D, z, delta_bias, initial_state, delta_softplus, keep, *packed):
    """Scan in C++; arguments and results as in the contract."""
    problem = _problem(u, delta, A, B, C, D, z, delta_bias, initial_state, delta_softplus, *packed)
    out, last = _like(u), _states(initial_state, u, A, problem)
    saved = None
    if keep:
        saved = A.new_empty(_saved_shape(*u.shape, A.shape[1], problem.groups))
        problem.saved = saved.data_ptr()
    problem.out, problem.last = _view(out), last.data_ptr()
    _run(_load().forward, problem, backward=False)
    return out.to(u.dtype), last, saved


def backward(grad_out, grad_last, saved, u, delta, A, B, C, D, z, delta_bias, initial_state, delta_softplus, *packed):
    """Gradients of the scan in C++; arguments and results as in the contract."""
    problem = _problem(u, delta, A, B, C, D, z, delta_bias, initial_state, delta_softplus, *packed)
    batch, channels, states = u.shape[0], *A.shape
    grad_out, grad_last = _readable(grad_out), None if grad_last is None else grad_last.contiguous()
    grad_u, grad_delta, grad_z = (None if x is None else _like(x) for x in (u, delta, z))
    grad_A, grad_initial = A.new_empty(batch, channels, states), _states(grad_last, u, A, problem)
    grad_D, grad_bias = A.new_zeros(2, batch, channels)
    partial_B, partial_C = (_partial(x, A, problem) for x in (B, C))
    problem.saved, problem.grad_out, problem.grad_last = saved.data_ptr(), _view(grad_out), _pointer(grad_last)
    problem.grad_u, problem.grad_delta, problem.grad_z = _view(grad_u), _view(grad_delta), _view(grad_z)
    problem.grad_A, problem.grad_initial = grad_A.data_ptr(), grad_initial.data_ptr()
    problem.grad_B, problem.grad_C = partial_B.data_ptr(), partial_C.data_ptr()
    problem.grad_D, problem.grad_bias = grad_D.data_ptr(), grad_bias.data_ptr()
    _run(_load().backward, problem, backward=True)
    return (
        grad_u.to(u.dtype),
        grad_delta.to(delta.dtype),
        grad_A.sum(0),
        _total(partial_B, B),
        _total(partial_C, C),
        None if D is None else grad_D.sum(0),
        None if z is None else grad_z.to(z.dtype),
        None if delta_bias is None else grad_bias.sum(0),
        None if initial_state is None else grad_initial,
    )


def saved_shape(u, A, B, C):
    """Shape of the states that tiles start from, (B, tiles, blocks, N, lanes): it is the compiled library's."""
    return _saved_shape(*u.shape, A.shape[1], _groups(B, C))


def _saved_shape(batch, channels, length, states, groups) -> tuple:
    lanes, tile = _load().sizes
    return batch, -(-length // tile), groups * -(-(channels // groups) // lanes), states, lanes


def _problem(u, delta, A, B, C, D, z, delta_bias, initial_state, delta_softplus, seq_idx=None, sequences=0) -> Problem:
    u, delta, z, B, C = (None if x is None else _readable(x) for x in (u, delta, z, B, C))
    A, D, delta_bias, initial_state = (None if x is None else x.contiguous() for x in (A, D, delta_bias, initial_state))
    B, C = (x.contiguous() if x.ndim == 2 else x for x in (B, C))
    batch, channels, length = u.shape
    groups_B, groups_C = (x.shape[1] if x.ndim == 4 else 0 for x in (B, C))
    groups = _groups(B, C)
    blocks = math.ceil(channels // groups / _load().sizes[0])
    together = max(1, min(MOST_BLOCKS, batch * groups * blocks // FEW_TASKS), math.ceil(blocks / MOST_PARTS))
    problem = Problem(
        *(batch, channels, length, A.shape[1], groups, groups_B, groups_C, together),
        *(delta_softplus, torch.get_num_threads()),
        *(_view(x) for x in (u, delta, z, B, C)),
    )
    problem.A, problem.D, problem.bias = A.data_ptr(), _pointer(D), _pointer(delta_bias)
    problem.initial = _pointer(initial_state)
    if sequences and not 0 <= seq_idx.min() <= seq_idx.max() < sequences:
        raise ValueError(
            f"seq_idx from {seq_idx.min()} to {seq_idx.max()}: numbers of {sequences} sequences are needed"
        )
    problem.seq_idx, problem.sequences = _pointer(seq_idx), sequences
    problem.alive = (u, delta, z, B, C, A, D, delta_bias, initial_state, seq_idx)  # it points into them
    return problem


def _states(coming: Tensor | None, u: Tensor, A: Tensor, problem: Problem) -> Tensor:
    """Memory for what becomes of the states `coming`, or of zeros: a sequence without tokens leaves them so."""
    if not problem.sequences:
        return A.new_empty(u.shape[0], *A.shape)
    return A.new_zeros(problem.sequences, *A.shape) if coming is None else coming.clone()


def _groups(B: Tensor, C: Tensor) -> int:
    return math.lcm(*(x.shape[1] for x in (B, C) if x.ndim == 4))


def _run(function, problem: Problem, backward: bool) -> None:
    size = _load().work_bytes(byref(problem), backward)
    work = torch.empty(problem.threads * size + 64, dtype=torch.uint8)  # seen by whoever measures memory
    problem.work = (work.data_ptr() + 63) // 64 * 64
    function(byref(problem))


def _partial(matrix: Tensor, A: Tensor, problem: Problem) -> Tensor:
    """Memory for gradients of B or C: (batch, D, N) where static, else (parts, batch, G, T, N)."""
    if matrix.ndim == 2:
        return A.new_empty(problem.batch, *matrix.shape)
    groups = matrix.shape[1]
    blocks = math.ceil(problem.channels // problem.groups / _load().sizes[0])
    parts = problem.groups // groups * math.ceil(blocks / problem.blocks)
    return A.new_empty(parts, problem.batch, groups, problem.length, problem.states)


def _total(partial: Tensor, matrix: Tensor) -> Tensor:
    total = partial.sum(0).to(matrix.dtype)
    if matrix.ndim == 2:
        return total
    if matrix.stride(2) <= matrix.stride(3):  # as `like` lays it out
        return total.mT
    return total.mT.clone(memory_format=torch.contiguous_format)


def _readable(x: Tensor) -> Tensor:
    """bfloat16 and float32 as they are, all else as float32: what the kernel reads and writes."""
    return x if x.dtype == torch.bfloat16 else x.float()


def _like(x: Tensor) -> Tensor:
    return like(x, torch.bfloat16 if x.dtype == torch.bfloat16 else torch.float32)


def _view(x: Tensor | None) -> View:
    if x is None:
        return View()
    strides = (*x.stride(), *[0] * (4 - x.ndim))
    return View(x.data_ptr(), (c_int64 * 4)(*strides), x.dtype == torch.bfloat16)


def _pointer(x: Tensor | None) -> int | None:
    return None if x is None else x.data_ptr()


@functools.cache
def _load() -> CDLL:
    lib = library("scan/selective_scan.cpp")
    for function in (lib.lanes, lib.tile, lib.threaded, lib.work_bytes):
        function.restype = c_int64
    lib.sizes = lib.lanes(), lib.tile()
    lib.work_bytes.argtypes = [POINTER(Problem), c_int64]
    for function in (lib.forward, lib.backward):
        function.argtypes, function.restype = [POINTER(Problem)], None
    return lib
