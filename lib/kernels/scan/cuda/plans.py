"""What a scan's launches have in common with all others of its sizes and layout, worked out once and kept."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from lib.kernels import driver
from lib.kernels.driver import Module
from lib.kernels.scan.cuda.problem import Problem
from lib.kernels.scan.cuda.threads import CHECKPOINT, THREADS, Threads, segments, slices, threads

TYPES = {torch.float32: 0, torch.bfloat16: 1, torch.float16: 2}
MOST_PLANS = 256
_plans: dict[tuple, "Plan"] = {}
_modules: dict[tuple, Module] = {}


@dataclass(frozen=True)
class Plan:
    """Launches of one kind of scan.

    module     compiled for it
    problem    strides and sizes; addresses are set at each call
    threads    how a block shares the work
    blocks     of all channels
    slices     parts of time, the last one first: forward has one
    span       tokens of a segment; `segments` of them in a slice
    """

    module: Module
    problem: Problem
    threads: Threads
    blocks: int
    slices: list[tuple[int, int]]
    span: int
    segments: int


def plan(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None,
    z: Tensor | None,
    bias: Tensor | None,
    softplus: bool,
    keep: bool,
    **more: Tensor | None,
) -> Plan:
    """The plan of a forward pass, or of a backward pass where `more` has a grad_out.

    more    what else has u's or B's axes: out; or gradients, by their names in `Problem`
    """
    backward = "grad_out" in more
    sequences = [
        x
        for name, x in (*zip(("u", "delta", "z"), (u, delta, z), strict=True), *more.items())
        if x is not None and name[-1] not in "BC"
    ]
    key = (
        *(backward, softplus, keep, D is None, bias is None, z is None, u.dtype, u.device, u.shape, A.shape[1]),
        *(B.shape, B.stride(), C.shape, C.stride()),
        *(x.stride() for x in sequences),
        _aligned(*sequences),
        *(_aligned(B), _aligned(C)),
    )
    found = _plans.get(key)
    if found is None:
        found = _make(u, delta, A, B, C, D, z, bias, softplus, keep, backward, sequences, more)
        _plans[key] = found
        if len(_plans) > MOST_PLANS:
            _plans.pop(next(iter(_plans)), None)
    return found


def _make(u, delta, A, B, C, D, z, bias, softplus, keep, backward, sequences, more) -> Plan:
    (batch, channels, length), states = u.shape, A.shape[1]
    processors = driver.multiprocessors(u.device)
    run = math.gcd(*(channels // x.shape[1] for x in (B, C) if x.ndim == 4)) or channels
    cut = threads(states, channels // run * -(-run // 32) * batch, processors, backward)
    blocks_of_run = -(-run // cut.channels)
    blocks = channels // run * blocks_of_run
    time_first = u.stride(2) == 1 and u.stride(1) != 1
    of_B, of_C = _rows(B, states, cut), _rows(C, states, cut)
    options = {
        **{"ELEMENT": TYPES[u.dtype], "STATES": states, "KEEP": keep, "SOFTPLUS": softplus, "CHECKPOINT": CHECKPOINT},
        **{"HAS_Z": z is not None, "HAS_D": D is not None, "HAS_BIAS": bias is not None},
        **{"FIXED_B": B.ndim == 2, "TIME_FIRST_B": of_B[0], "VECTOR_B": of_B[1]},
        **{"FIXED_C": C.ndim == 2, "TIME_FIRST_C": of_C[0], "VECTOR_C": of_C[1]},
        **{
            "TIME_FIRST": time_first,
            "VECTOR": _vector(sequences, 2 if time_first else 1, length if time_first else run),
        },
        **{"THREADS": THREADS, "LANES": cut.lanes, "SHARE": cut.share, "TILE": cut.tile, "UNROLL": cut.unroll},
        **{"TILE_BACK": cut.tile_back, "SUB": cut.sub, "BLOCKS": cut.blocks, "BLOCKS_BACK": cut.blocks_back},
    }
    parts = [(0, length)]
    if backward:
        rows = states * sum(x.ndim == 4 for x in (B, C))
        per_token = 4 * batch * (blocks * rows + channels * states / cut.tile_back)
        parts = slices(length, per_token, u.element_size() * u.numel())
    at_once = cut.blocks_back if backward else cut.blocks
    span, count = segments(blocks * batch, parts[-1][1] - parts[-1][0], processors, at_once, backward)
    problem = Problem()
    problem.lay(
        u=u, delta=delta, z=z, **{name: x for name, x in dict(B=B, C=C, **more).items() if x is not None and x.ndim > 2}
    )
    problem.size(batch=batch, channels=channels, length=length, run=run, blocks_of_run=blocks_of_run, blocks=blocks)
    problem.size(
        **{f"group_{name}": channels // x.shape[1] if x.ndim == 4 else channels for name, x in (("B", B), ("C", C))}
    )
    problem.size(stop=length, span=span, segments=count)
    source = "scan/cuda/backward.cu" if backward else "scan/cuda/forward.cu"
    named = tuple(f"-D{name}={int(value)}" for name, value in options.items())
    module = _modules.setdefault((source, named), Module(source, named))
    return Plan(module, problem, cut, blocks, parts, span, count)


def _aligned(*tensors: Tensor) -> bool:
    """Whether four elements can be read at once from the first one on."""
    together = 0
    for x in tensors:
        together |= x.data_ptr()
    return together % (4 * tensors[0].element_size()) == 0


def _rows(x: Tensor, states: int, cut: Threads) -> tuple[bool, int]:
    """Whether time is the contiguous axis of B or C, and how many elements can be read at once along that one."""
    if x.ndim == 2:
        return False, 1
    time_first = x.stride(3) == 1 and x.stride(2) != 1
    if states != cut.lanes * cut.share:
        return time_first, 1
    return time_first, _vector([x], 3 if time_first else 2, x.shape[3] if time_first else states)


def _vector(tensors: list[Tensor], axis: int, size: int) -> int:
    """Elements along an axis of `size`, of a group of channels, that can be read at once from all tensors: 4 or 1."""
    fits = size % 4 == 0 and _aligned(*tensors)
    for x in tensors:
        fits = fits and x.stride(axis) == 1
        others = (stride for k, (stride, n) in enumerate(zip(x.stride(), x.shape, strict=True)) if k != axis and n > 1)
        fits = fits and all(stride % 4 == 0 for stride in others)
    return 4 if fits else 1
