"""The causal depthwise convolution with SiLU on a GPU, by kernels that are compiled for it on first use.

What is moved, in units of B T E elements, where a run has 64 tokens and K = 4: forward 1 + 3/64 read and 1 written,
1.02 of the floor, which is to read the input and to write the output. Backward the input and the output's gradient are
read, 2 + 9/64, the input's gradient is written, 1, and 2 (K + 1) / (ROWS 64) numbers of float32 go through memory for
the parameters': 1.06 of the floor in float32. What is read twice comes from the cache, mostly: neighbours run side by
side. In torch, the same is a padded copy, a convolution and a SiLU, 6 units forward and 22 backward.
"""

import functools
from ctypes import Structure, c_int, c_longlong, c_void_p
from dataclasses import dataclass

import torch
from torch import Tensor

from lib.kernels import driver
from lib.kernels.driver import Module

TYPES = {torch.float32: 0, torch.bfloat16: 1, torch.float16: 2}
MOST_TAPS = 4  # more would not stay in registers
LANES, ROWS, UNROLL = 32, 4, 4  # channels side by side, runs of a block; four tokens under way keep memory busy
MOST_CHANNELS = LANES * 65535  # what a grid's second axis holds
SHORTEST, LONGEST = 16, 64  # tokens of a run: shorter ones read more twice, longer ones leave a GPU idle
WANTED = 2048  # threads of a multiprocessor: about two for each one that fits

_POINTERS = (
    *("x", "past", "grad_out", "out", "grad_x", "grad_past"),
    *("weight", "bias", "grad_weight", "grad_bias", "parts"),
)
_LAID = ("x", "past", "grad_out", "out", "grad_x", "grad_past")
_SIZES = ("batch", "channels", "length", "span", "runs", "blocks")


class Problem(Structure):
    """One launch's argument, as `convolution.cu` reads it; what is not set is null or zero."""

    _fields_ = [
        *((name, c_void_p) for name in _POINTERS),
        *((f"stride_{name}", c_longlong * 3) for name in _LAID),
        *((name, c_int) for name in _SIZES),
    ]


@dataclass(frozen=True)
class Plan:
    """What launches of one kind have in common.

    grid     of a walk over all tokens
    problem  its sizes and strides
    """

    module: Module
    grid: tuple[int, int, int]
    problem: Problem

    def argument(self, **tensors: Tensor | None) -> Problem:
        """The problem with addresses."""
        made = Problem.from_buffer_copy(self.problem)
        for name, x in tensors.items():
            setattr(made, name, None if x is None else x.data_ptr())
        return made


def unavailable(device: torch.device, dtype: torch.dtype, channels: int, taps: int) -> str | None:
    """Why the kernels cannot serve inputs of that device, dtype and sizes, or None."""
    if device.type != "cuda":
        return f"runs on CUDA GPUs, not on {device.type}"
    if dtype not in TYPES or taps > MOST_TAPS or channels > MOST_CHANNELS:
        kinds = ", ".join(str(one).removeprefix("torch.") for one in TYPES)
        return (
            f"{taps} taps, {channels} channels, {dtype}: up to {MOST_TAPS} taps and {MOST_CHANNELS} channels of {kinds}"
        )
    return driver.unavailable(device) or TRIAL.fault(device)


def forward(x: Tensor, past: Tensor | None, weight: Tensor, bias: Tensor | None) -> Tensor:
    """SiLU of the convolution, see `lib.kernels.convolution`."""
    weight, bias = _parameters(x, weight, bias)
    out = x.new_empty(x.shape)
    plan = _plan(weight, bias, x=x, past=past, out=out)
    argument = plan.argument(x=x, past=past, out=out, weight=weight, bias=bias)
    plan.module.launch("outputs", plan.grid, LANES * ROWS, argument, x.device)
    return out


def backward(
    grad: Tensor, x: Tensor, past: Tensor | None, weight: Tensor, bias: Tensor | None, into: Tensor | None = None
) -> tuple[Tensor, Tensor | None, Tensor, Tensor | None]:
    """Gradients of x, past, weight and bias; None for an input that is None.

    into   (B, T, E) of any strides: where x's gradient goes; new memory where left out
    """
    given = weight, bias
    weight, bias = _parameters(x, weight, bias)
    grad_x = x.new_empty(x.shape) if into is None else into
    grad_past, grad_weight, grad_bias = (
        None if like is None else torch.empty_like(like, memory_format=torch.contiguous_format)
        for like in (past, weight, bias)
    )
    laid = {"x": x, "past": past, "grad_out": grad.to(x.dtype), "grad_x": grad_x, "grad_past": grad_past}
    plan = _plan(weight, bias, **laid)
    channels, _, taps = weight.shape
    parts = x.new_empty(plan.grid[0] * (taps + 1) * channels, dtype=torch.float32)
    argument = plan.argument(
        **laid, weight=weight, bias=bias, grad_weight=grad_weight, grad_bias=grad_bias, parts=parts
    )
    plan.module.launch("gradients", plan.grid, LANES * ROWS, argument, x.device)
    plan.module.launch("totals", (-(-channels // LANES), taps + 1, 1), LANES * ROWS, argument, x.device)
    grad_weight, grad_bias = (
        None if like is None else found.to(like.dtype)
        for found, like in zip((grad_weight, grad_bias), given, strict=True)
    )
    return grad_x, grad_past, grad_weight, grad_bias


def _parameters(x: Tensor, weight: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """Weight and bias, contiguous and of one dtype: float32, or x's."""
    kind = weight.dtype if bias is None or bias.dtype == weight.dtype else torch.float32
    kind = kind if kind in (x.dtype, torch.float32) else torch.float32
    return weight.to(kind).contiguous(), None if bias is None else bias.to(kind).contiguous()


def _plan(weight: Tensor, bias: Tensor | None, **laid: Tensor | None) -> Plan:
    """The plan for tensors (B, ., E) by their names in `Problem`."""
    x = laid["x"]
    together = functools.reduce(int.__or__, (one.data_ptr() for one in laid.values() if one is not None))
    return _made(
        *(x.shape, weight.shape[2], x.dtype, weight.dtype, bias is None),
        *(x.device, driver.multiprocessors(x.device), together % (4 * x.element_size()) == 0),
        tuple((name, one.shape, one.stride()) for name, one in laid.items() if one is not None),
    )


@functools.lru_cache(256)
def _made(shape, taps, dtype, parameters, unbiased, device, processors, aligned, laid) -> Plan:
    batch, length, channels = shape
    vector = 4 if aligned and channels % 4 == 0 and all(_dense(*sizes) for _, *sizes in laid) else 1
    lines = -(-channels // vector)
    span = min(LONGEST, max(SHORTEST, batch * length * lines // (WANTED * processors)))
    runs = -(-length // span)
    blocks = -(-batch * runs // ROWS)
    options = {
        **{"ELEMENT": TYPES[dtype], "PARAMETERS": int(parameters != torch.float32), "HAS_BIAS": int(not unbiased)},
        **{"TAPS": taps, "VECTOR": vector, "ROWS": ROWS, "UNROLL": UNROLL},
    }
    problem = Problem(batch=batch, channels=channels, length=length, span=span, runs=runs, blocks=blocks)
    for name, _, stride in laid:
        setattr(problem, f"stride_{name}", (c_longlong * 3)(*stride))
    return Plan(_module(tuple(f"-D{key}={value}" for key, value in options.items())), _grid(blocks, lines), problem)


def _grid(blocks: int, lines: int) -> tuple[int, int, int]:
    return blocks, -(-lines // LANES), 1


@functools.cache
def _module(options: tuple[str, ...]) -> Module:
    return Module("convolution/convolution.cu", options)


def _dense(shape: tuple[int, ...], stride: tuple[int, ...]) -> bool:
    """Whether four neighbouring channels can be read at once at every token."""
    return stride[2] == 1 and all(step % 4 == 0 for step, size in zip(stride[:2], shape[:2], strict=True) if size > 1)


def _one_token(device: torch.device) -> float:
    """The SiLU of one."""
    one = torch.ones(1, 1, 1, device=device)
    return forward(one, None, one, None).item()


TRIAL = driver.Trial("the convolution runs in torch", _one_token, 1 / (1 + 2.718281828**-1))
