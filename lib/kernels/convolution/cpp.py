"""The causal depthwise convolution with SiLU on a CPU: `convolution.cpp`, called through ctypes.

What is moved, in units of B T E elements, where a task has 128 tokens and K = 4: forward 1 + 3/128 read and 1 written;
backward the input and the output's gradient are read, 2 + 6/128, the input's gradient is written, 1, and 2 (K + 1)/128
of float32 go through memory for the parameters'. Each element costs one exponential forward and one backward. So it
cannot be faster than a copy, 2 units, or SiLU alone. Beyond the caches, forward takes a copy's time and backward 1.4 of
its 3.1 units'; within them, forward takes 1.4 of SiLU's time and backward 2.3.

All is computed in float32. bfloat16 is read and written as it is, float16 through copies; float64 is torch's.
"""

import functools
from ctypes import CDLL, POINTER, Structure, byref, c_int64, c_void_p

import torch
from torch import Tensor

from lib.kernels.build import library, unusable
from lib.kernels.scan.cpp import View

TYPES = (torch.float32, torch.bfloat16, torch.float16)
FEW = 2**15  # elements that one thread computes before others have begun


class Problem(Structure):
    """One convolution as `convolution.cpp` reads it; what is not set is null or zero."""

    _fields_ = [
        *[(name, c_int64) for name in ("batch", "length", "channels", "taps", "threads")],
        *[(name, View) for name in ("x", "past", "out", "grad_out", "grad_x", "grad_past")],
        *[(name, c_void_p) for name in ("weight", "bias", "parts")],
    ]


def unavailable(device: torch.device, dtype: torch.dtype, channels: int, taps: int) -> str | None:
    """Why the C++ version cannot serve inputs of that device, dtype and sizes, or None."""
    if device.type != "cpu":
        return f"runs on a CPU, not on {device.type}"
    if dtype not in TYPES:
        return f"computes in float32: {dtype} is torch's"
    why = unusable(_load, "the convolution runs in torch, which is two to four times slower")
    if why is None and taps > _load().most:
        return f"{taps} taps: up to {_load().most}"
    return why


def forward(x: Tensor, past: Tensor | None, weight: Tensor, bias: Tensor | None) -> Tensor:
    """SiLU of the convolution, see `lib.kernels.convolution`."""
    given, x = x.dtype, _readable(x)
    out, problem = x.new_empty(x.shape), _problem(x, past, weight, bias)
    problem.out = _view(out)
    _load().forward(byref(problem))
    return out.to(given)


def backward(
    grad: Tensor, x: Tensor, past: Tensor | None, weight: Tensor, bias: Tensor | None, into: Tensor | None = None
) -> tuple[Tensor, Tensor | None, Tensor, Tensor | None]:
    """Gradients of x, past, weight and bias; None for an input that is None.

    into   (B, T, E) of any strides: where x's gradient goes; new memory where left out
    """
    given, x = x.dtype, _readable(x)
    batch, length, channels = x.shape
    problem, grad = _problem(x, past, weight, bias), _readable(grad.to(x.dtype))
    in_place = into is not None and _is_readable(into)
    grad_x = into if in_place else x.new_empty(x.shape)
    grad_past = None if past is None else x.new_empty(past.shape)
    parts = x.new_empty(batch, max(1, -(-length // _load().tokens)), weight.shape[2] + 1, channels, dtype=torch.float32)
    problem.grad_out, problem.grad_x, problem.parts = _view(grad), _view(grad_x), parts.data_ptr()
    if grad_past is not None:
        problem.grad_past = _view(grad_past)
    _load().backward(byref(problem))
    totals = parts.sum((0, 1))
    return (
        grad_x if in_place else grad_x.to(given) if into is None else into.copy_(grad_x),
        None if past is None else grad_past.to(past.dtype),
        totals[:-1].T.contiguous().unsqueeze(1).to(weight.dtype),
        None if bias is None else totals[-1].clone().to(bias.dtype),
    )


def _problem(x: Tensor, past: Tensor | None, weight: Tensor, bias: Tensor | None) -> Problem:
    past = None if past is None else _readable(past.to(x.dtype))
    weight, bias = (None if one is None else one.float().contiguous() for one in (weight, bias))
    threads = torch.get_num_threads() if x.numel() > FEW else 1
    problem = Problem(*x.shape, weight.shape[2], threads, _view(x))
    if past is not None:
        problem.past = _view(past)
    problem.weight, problem.bias = weight.data_ptr(), None if bias is None else bias.data_ptr()
    problem.alive = past, weight, bias  # it points into them
    return problem


def _readable(x: Tensor) -> Tensor:
    """What the kernel reads and writes: neighbouring channels, in bfloat16 or, all else, in float32."""
    if _is_readable(x):
        return x
    return (x if x.dtype == torch.bfloat16 else x.float()).contiguous()


def _is_readable(x: Tensor) -> bool:
    return x.dtype in (torch.float32, torch.bfloat16) and (x.stride(2) == 1 or x.shape[2] == 1)


def _view(x: Tensor) -> View:
    batch, token, channel = x.stride()
    return View(x.data_ptr(), (c_int64 * 4)(batch, channel, token, 0), x.dtype is torch.bfloat16)


@functools.cache
def _load() -> CDLL:
    lib = library("convolution/convolution.cpp")
    for function in (lib.forward, lib.backward):
        function.argtypes, function.restype = [POINTER(Problem)], None
    lib.most_taps.restype = lib.span.restype = c_int64
    lib.most, lib.tokens = lib.most_taps(), lib.span()
    return lib
