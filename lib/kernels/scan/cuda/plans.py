"""What a scan's launches have in common with all others of its sizes and layout, worked out once and kept."""

import math
from dataclasses import dataclass
from math import ceil
from typing import NamedTuple

import torch
from torch import Tensor

from lib.kernels import driver
from lib.kernels.driver import Module
from lib.kernels.scan.cuda.problem import Problem
from lib.kernels.scan.cuda.threads import THREADS, Threads, segments, slices, threads

TYPES = {torch.float32: 0, torch.bfloat16: 1, torch.float16: 2}
MOST_PLANS = 256
CARRIES = "carry_one", "carry_other"  # in scratch, in turn: one is read while the other is written
FIELDS = {name for name, _ in Problem._fields_}
_plans: dict[tuple, "Plan"] = {}
_modules: dict[tuple, Module] = {}


class Slice(NamedTuple):
    """A part of time, and the kernels that walk over it.

    sizes           fields of its problem
    carry, carried  in scratch: the gradient of the state after it, and before it; None is the caller's own
    launches        kernels with their grids
    """

    sizes: dict[str, int]
    carry: str | None
    carried: str | None
    launches: list[tuple[str, tuple[int, int, int]]]


@dataclass(frozen=True)
class Plan:
    """Launches of one kind of scan.

    module     compiled for it
    problem    strides and sizes; addresses are set at each call
    slices     parts of time, in the order in which they are walked: forward has one
    scratch    what kernels leave for each other: bytes from the start of a buffer of `numbers` float32
    """

    module: Module
    problem: Problem
    slices: list[Slice]
    scratch: dict[str, int]
    numbers: int

    def run(self, problem: Problem, device: torch.device, buffer: int, carry: Tensor | None, carried: Tensor | None):
        """Launch all kernels.

        problem         a copy of the plan's, with all addresses set but those of scratch
        buffer          address of the scratch
        carry, carried  gradients of the last state, or None, and of the first one
        """
        own = {"carry": carry, "carried": carried}
        own = {name: None if x is None else x.data_ptr() for name, x in own.items()}
        for name, offset in self.scratch.items():
            if name in FIELDS:
                setattr(problem, name, buffer + offset)
        for part in self.slices:
            problem.size(**part.sizes)
            problem.carry = own["carry"] if part.carry is None else buffer + self.scratch[part.carry]
            problem.carried = own["carried"] if part.carried is None else buffer + self.scratch[part.carried]
            for kernel, grid in part.launches:
                self.module.launch(kernel, grid, THREADS, problem, device)


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
    keep: int,
    packed: bool = False,
    **more: Tensor | None,
) -> Plan:
    """The plan of a forward pass, or of a backward pass where `more` has a grad_out.

    keep    tokens between the states that are kept, 0 for none
    packed  whether rows hold several sequences
    more    what else has u's or B's axes: out; or gradients, by their names in `Problem`
    """
    backward = "grad_out" in more
    sequences = [
        x
        for name, x in (*zip(("u", "delta", "z"), (u, delta, z), strict=True), *more.items())
        if x is not None and name[-1] not in "BC"
    ]
    key = (
        *(backward, softplus, keep, packed, D is None, bias is None, z is None, u.dtype, u.device, u.shape, A.shape[1]),
        *(B.shape, B.stride(), C.shape, C.stride()),
        *(x.stride() for x in sequences),
        _aligned(*sequences),
        *(_aligned(B), _aligned(C)),
    )
    found = _plans.get(key)
    if found is None:
        found = _make(u, delta, A, B, C, D, z, bias, softplus, keep, packed, backward, sequences, more)
        _plans[key] = found
        if len(_plans) > MOST_PLANS:
            _plans.pop(next(iter(_plans)), None)
    return found


def _make(u, delta, A, B, C, D, z, bias, softplus, keep, packed, backward, sequences, more) -> Plan:
    (batch, channels, length), states = u.shape, A.shape[1]
    processors = driver.multiprocessors(u.device)
    run = math.gcd(*(channels // x.shape[1] for x in (B, C) if x.ndim == 4)) or channels
    shared = driver.shared_bytes(u.device)
    cut = threads(states, channels // run * ceil(run / 32) * batch, processors, shared, backward)
    blocks_of_run = ceil(run / cut.channels)
    blocks = channels // run * blocks_of_run
    time_first = u.stride(2) == 1 and u.stride(1) != 1
    of_B, of_C = _rows(B, states, cut), _rows(C, states, cut)
    options = {
        **{
            "ELEMENT": TYPES[u.dtype],
            "STATES": states,
            "KEEP": keep > 0,
            "SOFTPLUS": softplus,
            "CHECKPOINT": keep or 32,
        },
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
    rows = states * sum(x.ndim == 4 for x in (B, C))
    if packed:
        options["PACKED"] = True
    parts = [(0, length)]
    if backward:
        again = keep != cut.tile_back  # the states of tiles are computed once more
        per_token = 4 * batch * (blocks * rows + again * channels * states / cut.tile_back)
        kept = 4 * batch * channels * states * (length / keep + 5)  # last state, gradients of states and of A
        parts = slices(length, per_token, u.element_size() * u.numel(), kept)
    longest = parts[-1][1] - parts[-1][0]  # the last one walked, the first in time
    at_once = cut.blocks_back if backward else cut.blocks
    span, count = segments(blocks * batch, longest, processors, at_once, backward)
    groups = {name: x.shape[1] if x.ndim == 4 else 1 for name, x in (("B", B), ("C", C))}
    problem = Problem()
    problem.lay(u=u, delta=delta, z=z)
    problem.lay(**{name: x for name, x in dict(B=B, C=C, **more).items() if x is not None and x.ndim > 2})
    problem.size(batch=batch, channels=channels, length=length, run=run, blocks_of_run=blocks_of_run, blocks=blocks)
    problem.size(group_B=channels // groups["B"], group_C=channels // groups["C"], span=span, segments=count)
    grid = Grid(blocks, batch, count)
    state, each = batch * channels * states, batch * channels
    sizes = {"ends": count * state, "steps": count * each, "crossed": count * batch} if count > 1 else {}
    if backward:
        sizes |= {"dense": again * ceil(longest / cut.tile_back) * state, "part_rows": blocks * batch * longest * rows}
        sizes |= {"part_A": count * state, "part_D": count * each, "part_bias": count * each}
        sizes |= {f"part_{name}": count * state for name, x in (("B", B), ("C", C)) if x.ndim == 2}
        sizes |= {name: state for name in CARRIES} if len(parts) > 1 else {}
        of_token = batch * states * sum(x.shape[1] for x in (B, C) if x.ndim == 4)
        sums = of_token, channels * (states + 1)
        walked = [grid.backward(parts, number, keep if again else 0, *sums) for number in range(len(parts))]
    else:
        walked = [grid.forward(length)]
    scratch, numbers = {}, 0
    for name, size in sizes.items():
        scratch[name], numbers = 4 * numbers, numbers + ceil(size / 4) * 4  # each starts at 16 bytes
    source = "scan/cuda/backward.cu" if backward else "scan/cuda/forward.cu"
    named = tuple(f"-D{name}={int(value)}" for name, value in options.items())
    module = _modules.setdefault((source, named), Module(source, named))
    return Plan(module, problem, walked, scratch, numbers)


class Grid(NamedTuple):
    """Blocks of all channels, sequences, segments of a slice."""

    blocks: int
    batch: int
    segments: int

    def forward(self, length: int) -> Slice:
        """All of time at once; with segments, first what each but the last ends with."""
        first = [("segment_ends", (self.blocks, self.batch, self.segments - 1))] if self.segments > 1 else []
        return Slice({"stop": length}, None, None, [*first, ("outputs", tuple(self))])

    def backward(self, parts: list[tuple[int, int]], number: int, kept: int, of_token: int, of_all: int) -> Slice:
        """A slice of a backward pass.

        kept               tokens between kept states, from which those of tiles are computed; 0 if all are kept
        of_token, of_all   sums over blocks that a token has, and that all time has
        """
        (start, stop), finish = parts[number], number + 1 == len(parts)
        launches = []
        if kept:
            launches.append(("tile_states", (self.blocks, self.batch, (stop - 1) // kept - start // kept + 1)))
        if self.segments > 1:
            launches.append(("segment_starts", (self.blocks, self.batch, self.segments - 1)))
        launches.append(("gradients", tuple(self)))
        if sums := of_token * (stop - start) + (of_all if finish else 0):
            launches.append(("totals", (ceil(sums / THREADS), 1, 1)))
        sizes = {"first": start, "stop": stop, "add": number > 0, "finish": finish}
        carry = CARRIES[(number - 1) % 2] if number else None
        return Slice(sizes, carry, None if finish else CARRIES[number % 2], launches)


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
