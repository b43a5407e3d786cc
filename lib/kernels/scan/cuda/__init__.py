"""The CUDA backend: device code compiled at run time for the GPU at hand. Contract: `lib.kernels.scan`.

Speed comes from keeping states in registers from the first token to the last, from step sizes made once a token and
channel, and from time split into segments where sequences are few. Sums have an order of their own: no atomics, the
same result every time. The gradients' memory is bounded by walking backward in slices of time.
"""

import functools
import warnings

import torch
from torch import Tensor

from lib.kernels import driver
from lib.kernels.scan import torch as chunked
from lib.kernels.scan.cuda.plans import TYPES, Plan, plan
from lib.kernels.scan.cuda.problem import Problem
from lib.kernels.scan.cuda.threads import MOST_SEQUENCES, MOST_STATES, checkpoint
from lib.kernels.scan.layout import like


def unavailable(device: torch.device, dtype: torch.dtype) -> str | None:
    """Why the CUDA backend cannot serve inputs of that device and dtype, or None."""
    if dtype == torch.float64:
        return "computes in float32: float64 is for torch and ref"
    return driver.unavailable(device) or TRIAL.fault(device)


def about() -> str:
    """What the CUDA backend is, in a few words."""
    return "CUDA, compiled for this GPU on first use"


def forward(u, delta, A, B, C, D, z, delta_bias, initial_state, delta_softplus, keep, *packed):
    """Scan on a GPU; arguments and results as in the contract."""
    if _elsewhere(u, A):
        return chunked.forward(u, delta, A, B, C, D, z, delta_bias, initial_state, delta_softplus, keep, *packed)
    wanted, apart = u.dtype, _apart(u, A)
    u, delta, z, B, C = _alike(u, delta, z, B, C)
    A, D, delta_bias, initial_state = (None if x is None else x.contiguous() for x in (A, D, delta_bias, initial_state))
    out, last = like(u), _states(initial_state, u, A, *packed)
    saved = A.new_empty(-(-u.shape[2] // apart), len(u), *A.shape) if keep else None
    steps = plan(u, delta, A, B, C, D, z, delta_bias, delta_softplus, apart * keep, bool(packed), out=out)
    problem = _problem(steps, u, delta, A, B, C, D, z, delta_bias, *packed)
    problem.point(out=out, initial=initial_state, last=last, saved=saved)
    _run(steps, problem, A)
    return out if out.dtype == wanted else out.to(wanted), last, saved


def backward(grad_out, grad_last, saved, u, delta, A, B, C, D, z, delta_bias, initial_state, delta_softplus, *packed):
    """Gradients of the scan on a GPU; arguments and results as in the contract."""
    if _elsewhere(u, A):
        return chunked.backward(
            grad_out, grad_last, saved, u, delta, A, B, C, D, z, delta_bias, initial_state, delta_softplus, *packed
        )
    given, apart = (u, delta, z, B, C), _apart(u, A)
    u, delta, z, B, C, grad_out = _alike(u, delta, z, B, C, grad_out)
    fixed = (A, D, delta_bias, grad_last, initial_state)
    A, D, delta_bias, grad_last, initial = (None if x is None else x.contiguous() for x in fixed)
    grad_u, grad_delta, grad_z = (None if x is None else like(x) for x in (u, delta, z))
    grad_B, grad_C = (torch.empty_like(x) if x.ndim == 2 else like(x) for x in (B, C))
    grad_A, grad_D, grad_bias = (None if x is None else torch.empty_like(x) for x in (A, D, delta_bias))
    grad_initial = _states(grad_last, u, A, *packed)
    written = {"grad_u": grad_u, "grad_delta": grad_delta, "grad_z": grad_z, "grad_B": grad_B, "grad_C": grad_C}
    written["grad_out"] = grad_out
    steps = plan(u, delta, A, B, C, D, z, delta_bias, delta_softplus, apart, bool(packed), **written)
    problem = _problem(steps, u, delta, A, B, C, D, z, delta_bias, *packed)
    problem.point(initial=initial, grad_last=grad_last, grad_initial=grad_initial)
    problem.point(grad_out=grad_out, saved=saved, grad_A=grad_A, grad_D=grad_D, grad_bias=grad_bias)
    problem.point(grad_u=grad_u, grad_delta=grad_delta, grad_z=grad_z)
    for name, x in (("B", grad_B), ("C", grad_C)):
        problem.point(**{f"grad_fixed_{name}" if x.ndim == 2 else f"grad_{name}": x})
    _run(steps, problem, A, grad_last, grad_initial)
    made = (grad_u, grad_delta, grad_z, grad_B, grad_C)
    if len({x.dtype for x in given if x is not None}) > 1:
        made = (x if x is None else x.to(own.dtype) for x, own in zip(made, given, strict=True))
    grad_u, grad_delta, grad_z, grad_B, grad_C = made
    grad_initial = None if initial_state is None else grad_initial
    return grad_u, grad_delta, grad_A, grad_B, grad_C, grad_D, grad_z, grad_bias, grad_initial


def saved_shape(u: Tensor, A: Tensor, B: Tensor, C: Tensor) -> tuple[int | torch.SymInt, ...]:
    """States (checkpoints, B, D, N): before each `threads.checkpoint`-th token."""
    if _elsewhere(u, A, quiet=True):
        return chunked.saved_shape(u, A, B, C)
    return -(-u.shape[2] // _apart(u, A)), u.shape[0], *A.shape


def _apart(u: Tensor, A: Tensor) -> int:
    """Tokens between kept states."""
    return checkpoint(A.shape[1], u.dtype, driver.shared_bytes(u.device))


def _run(steps: Plan, problem: Problem, A: Tensor, carry: Tensor | None = None, carried: Tensor | None = None) -> None:
    buffer = A.new_empty(steps.numbers) if steps.numbers else None
    steps.run(problem, A.device, 0 if buffer is None else buffer.data_ptr(), carry, carried)


def _problem(steps: Plan, u, delta, A, B, C, D, z, bias, seq_idx=None, sequences=0) -> Problem:
    problem = steps.problem.copy()
    problem.point(u=u, delta=delta, A=A, D=D, z=z, bias=bias, seq_idx=seq_idx)
    problem.size(sequences=sequences)
    for name, x in (("B", B), ("C", C)):
        problem.point(**{f"fixed_{name}" if x.ndim == 2 else name: x})
    return problem


def _states(coming: Tensor | None, u: Tensor, A: Tensor, seq_idx=None, sequences: int = 0) -> Tensor:
    """Memory for what becomes of the states `coming`, or of zeros: a sequence without tokens leaves them so."""
    if not sequences:
        return A.new_empty(len(u), *A.shape)
    return A.new_zeros(sequences, *A.shape) if coming is None else coming.clone()


def _alike(*tensors: Tensor | None) -> list[Tensor | None]:
    """Those of one dtype as they are; else all in float32, which holds every other one. Static B and C stay."""
    kinds = {x.dtype for x in tensors if x is not None and x.ndim > 2}
    if len(kinds) == 1 and kinds <= TYPES.keys():
        return list(tensors)
    return [x if x is None or x.ndim == 2 else x.float() for x in tensors]


def _elsewhere(u: Tensor, A: Tensor, quiet: bool = False) -> bool:
    """Whether the torch backend has to serve: said once aloud."""
    if A.shape[1] <= MOST_STATES and u.shape[0] <= MOST_SEQUENCES:
        return False
    if not quiet:
        _say(
            f"N = {A.shape[1]}, B = {u.shape[0]}: the CUDA scan serves N up to {MOST_STATES} and B up to "
            f"{MOST_SEQUENCES}; the scan runs in torch"
        )
    return True


@functools.cache
def _say(text: str) -> None:
    warnings.warn(text, stacklevel=6)


def _one_token(device: torch.device) -> float:
    """A scan of one token of ones: h = u B = 1, and y = C h."""
    one = torch.ones(1, 1, 1, device=device)
    return forward(one, one, one[0], one[None], one[None], None, None, None, None, False, False)[0].item()


TRIAL = driver.Trial("the scan runs in torch, which is many times slower", _one_token, 1.0)
