"""A bank of damped modes, token after token: `modes.cpp` through ctypes, or chunk after chunk in torch.

    h[t] = decay h[t-1] + x[t],  y[t] = Re(sum over the modes of weight h[t]) + skip x[t]

x is (B, T, D) of any strides, decay and weight are complex (D, M), skip is (D), states are complex (B, D, M). Where x
is in half precision, all is computed in float32, and the outputs are in x's dtype. Outputs lie as x does.

Compilers, exports, tracers and modes see one operator of torch, `ssm::modes`, in place of the C++ version.
"""

import functools
from ctypes import CDLL, POINTER, Structure, byref, c_int64, c_void_p

import torch
from torch import Tensor
from torch.autograd import forward_ad

from lib.kernels.autocast import off, single
from lib.kernels.build import library, unusable
from lib.kernels.eager import eager, settled
from lib.kernels.scan.cpp import View

FEW = 2**15  # modes times samples: what one thread computes before others have begun
CHUNK = 64  # tokens that the torch version computes at once: work grows with it, the number of calls falls


class Bank(Structure):
    """A bank of modes and its input as `modes.cpp` reads them."""

    _fields_ = [
        *[(name, c_int64) for name in ("batch", "channels", "length", "modes", "threads")],
        *[(name, View) for name in ("x", "out")],
        *[(name, c_void_p) for name in ("decay", "weight", "skip", "initial", "last")],
    ]


def recurrence(x: Tensor, decay: Tensor, weight: Tensor, skip: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
    """Run a bank of modes over T tokens, by the faster version that can serve; returns outputs and the last state.

    In torch where a gradient is needed, in double precision, off the CPU, and without a compiler.
    """
    tensors = (x, decay, weight, skip, state)
    if _transformed(*tensors) or x.device.type != "cpu":
        return chunked(*tensors)
    return _served(*tensors) if eager(*tensors) else torch.ops.ssm.modes.default(*tensors)


def _served(*tensors: Tensor) -> tuple[Tensor, Tensor]:
    x, _, _, skip, _ = tensors
    return (chunked if unavailable(x.device, single(x.dtype, skip.dtype)) else native)(*tensors)


def _transformed(*tensors: Tensor) -> bool:
    """Whether a gradient is needed, or a transform of torch.func at work: torch's own operators have all of these."""
    if forward_ad._current_level >= 0 or torch._C._are_functorch_transforms_active():
        return True
    return torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors)


def unavailable(device: torch.device, dtype: torch.dtype) -> str | None:
    """Why the C++ version cannot serve inputs of that device and dtype, or None."""
    if device.type != "cpu":
        return "runs on a CPU"
    if dtype == torch.float64:
        return "computes in float32"
    return unusable(_load, "the recurrence of modes runs in torch, which is slower")


def native(x: Tensor, decay: Tensor, weight: Tensor, skip: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
    """Run a bank of modes over T tokens in C++, without a graph; returns outputs and the last state."""
    # What lies as it is needed is read where it lies: for one token a copy would take longer than the recurrence.
    decay, weight, state = (_plain(z, torch.complex64) for z in (decay, weight, state))
    given, x = x.dtype, settled(x if x.dtype is torch.bfloat16 else x.float())
    skip, out, last = _plain(skip, torch.float32), torch.empty_like(x), torch.empty_like(state)
    (batch, length, channels), modes = x.shape, decay.shape[1]
    threads = torch.get_num_threads() if x.numel() * modes > FEW else 1
    bank = Bank(batch, channels, length, modes, threads, _view(x), _view(out))
    bank.decay, bank.weight, bank.skip = decay.data_ptr(), weight.data_ptr(), skip.data_ptr()
    bank.initial, bank.last = state.data_ptr(), last.data_ptr()
    _load().run(byref(bank))
    return out.to(given), last


def can_step(x: Tensor, decay: Tensor, weight: Tensor, skip: Tensor, state: Tensor | None) -> bool:
    """Whether `step` can serve: all is on the CPU, in float32 and contiguous, fits together, and needs no gradient."""
    return (
        type(x) is type(state) is Tensor
        and eager(x, state)
        and x.is_cpu
        and skip.is_cpu
        and x.dtype is skip.dtype is torch.float32
        and state.dtype is torch.complex64
        and state.shape == (x.shape[0], *weight.shape[:2])
        and x.shape[1:] == skip.shape
        and x.shape[0] > 0
        and x.is_contiguous()
        and state.is_contiguous()
        and not (torch.is_grad_enabled() and (x.requires_grad or state.requires_grad))
        and unavailable(x.device, x.dtype) is None
        and decay.is_contiguous()
        and weight.is_contiguous()
    )


def step(x: Tensor, decay: Tensor, weight: Tensor, skip: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
    """Run a bank of modes over one token (B, D) in C++; every check and copy would take longer than the recurrence.

    decay, weight   as pairs (D, M, 2); nothing is checked here, see `can_step`
    """
    out, last = torch.empty_like(x), torch.empty_like(state)
    pointers = [tensor.data_ptr() for tensor in (x, decay, weight, skip, state, last, out)]
    _load().step(*state.shape, *pointers)
    return out, last


def chunked(x: Tensor, decay: Tensor, weight: Tensor, skip: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
    """Run a bank of modes over T tokens in torch; returns outputs and the last state.

    Inside a chunk it is a product with a triangular matrix; from chunk to chunk the states are carried. Powers are
    taken in double precision: in float32 their phases would be off.
    """
    given, x = x.dtype, x.to(single(x.dtype, skip.dtype))
    with off(x):
        out, state = _chunked(x, decay, weight, skip, state)
    return out.to(given), state


def _chunked(x: Tensor, decay: Tensor, weight: Tensor, skip: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
    size = min(CHUNK, x.shape[1])
    precise = decay.to(torch.complex128).unsqueeze(-1)
    powers = torch.cat([torch.ones_like(precise), precise.expand(-1, -1, size)], -1).cumprod(-1)
    response = (weight.unsqueeze(-1) * powers).to(decay.dtype)  # D M Q+1
    lag = torch.arange(size, device=x.device)
    lag = lag - lag.unsqueeze(1)  # of an output, in columns, after an input, in rows
    mixing = response.real.sum(1)[:, lag.clamp(min=0)].where(lag >= 0, 0)
    powers, outputs = powers.to(decay.dtype), []
    for chunk in x.split(size, dim=1):
        steps, inputs = chunk.shape[1], chunk.permute(2, 0, 1)  # D B Q
        free = (state.transpose(0, 1) @ response[..., 1 : steps + 1]).real
        outputs.append((inputs @ mixing[:, :steps, :steps] + free).permute(1, 2, 0))
        inflow = inputs.to(decay.dtype) @ powers[..., :steps].flip(-1).mT
        state = state * powers[..., steps] + inflow.transpose(0, 1)
    return torch.cat(outputs, dim=1) + skip * x, state


def _plain(x: Tensor, dtype: torch.dtype) -> Tensor:
    return settled(x.detach().to(dtype)).contiguous()


def _view(x: Tensor) -> View:
    batch, token, channel = x.stride()
    return View(x.data_ptr(), (c_int64 * 4)(batch, channel, token, 0), x.dtype is torch.bfloat16)


@functools.cache
def _load() -> CDLL:
    lib = library("modes/modes.cpp")
    lib.lanes.restype = c_int64
    lib.run.argtypes, lib.run.restype = [POINTER(Bank)], None
    lib.step.argtypes, lib.step.restype = 3 * [c_int64] + 7 * [c_void_p], None
    return lib


def _run(*tensors: Tensor) -> tuple[Tensor, Tensor]:
    out, last = _served(*tensors)
    like = torch.empty_like(tensors[0])
    return out if out.stride() == like.stride() else like.copy_(out), last.contiguous()


def _differentiable(*tensors: Tensor) -> tuple[Tensor, Tensor]:
    if _transformed(*tensors):
        return chunked(*tensors)
    with torch._C._AutoDispatchBelowAutograd():
        return torch.ops.ssm.modes.default(*tensors)


def _fake(x: Tensor, decay: Tensor, weight: Tensor, skip: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
    return torch.empty_like(x), state.new_empty(state.shape)


def _vmapped(info, in_dims: tuple, *tensors: Tensor) -> tuple[tuple[Tensor, Tensor], tuple[int, int]]:
    examples = range(info.batch_size)
    each = (
        [x if axis is None else x.select(axis, i) for x, axis in zip(tensors, in_dims, strict=True)] for i in examples
    )
    outs, lasts = zip(*(torch.ops.ssm.modes.default(*one) for one in each), strict=True)
    return (torch.stack(outs), torch.stack(lasts)), (0, 0)


_library = torch.library.Library("ssm", "FRAGMENT")
_library.define("modes(Tensor x, Tensor decay, Tensor weight, Tensor skip, Tensor state) -> (Tensor out, Tensor last)")
_library.impl("modes", _run, "CompositeExplicitAutograd")
_library.impl("modes", _differentiable, "Autograd")
torch.library.register_fake("ssm::modes", _fake, lib=_library)
torch.library.register_vmap("ssm::modes", _vmapped, lib=_library)
