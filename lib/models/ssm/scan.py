"""The selective scan, with the signature and semantics of mamba_ssm's function of the same name.

    h[t] = exp(delta[t] A) h[t-1] + delta[t] B[t] u[t]
    y[t] = (C[t] h[t] + D u[t]) silu(z[t])

in every channel, with N states each: A by zero-order hold, B by Euler's rule.
Backends live in `lib.kernels.scan`, behind one contract. Symbols: `lib/__init__.py`.
"""

from dataclasses import dataclass
from itertools import pairwise
from types import ModuleType

import torch
from torch import Tensor
from torch.nn import functional as F

from lib import names
from lib.kernels.scan import op
from lib.models.checks import check_choice
from lib.models.ssm.lengths import kernel_seq_idx, seq_idx_of_lengths
from lib.models.ssm.scan_inputs import check_scan
from lib.models.tables import Modules

KERNELS = Modules("BACKENDS", "unavailable", "about", "forward", "backward", "saved_shape")  # the fastest first


@dataclass(frozen=True)
class Choice:
    """The backend that serves an input, and why each of the others does not; print it."""

    backend: str
    reasons: dict[str, str]

    def __str__(self) -> str:
        mark = {self.backend: ">"}
        return "\n".join(f"{mark.get(name, ' ')} {name:<6}  {why}" for name, why in self.reasons.items())


def selective_scan_fn(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None = None,
    z: Tensor | None = None,
    delta_bias: Tensor | None = None,
    delta_softplus: bool = False,
    return_last_state: bool = False,
    initial_state: Tensor | None = None,
    backend: str = "auto",
    seq_idx: Tensor | None = None,
    cu_seqlens: Tensor | None = None,
) -> Tensor | tuple[Tensor, Tensor]:
    """Scan T tokens of D channels with N real states each; every tensor gets a gradient, through the last state too.

    torch.compile, torch.export, checkpoints and torch.func.grad see one operator, `ssm::selective_scan`; vmap, forward
    mode and second derivatives are refused.
    u, delta, z        (B, D, T), of any strides; transposed views of contiguous (B, T, D) are the fastest on a CPU
    A                  (D, N), real
    B, C               (B, N, T); (B, G, N, T) with G groups of D / G channels; (D, N) where they do not vary
    D, delta_bias      (D,)
    delta_softplus     the step size is softplus(delta + delta_bias), else delta + delta_bias
    return_last_state  return the state after the last token, too
    initial_state      (B, D, N), zeros where left out; an earlier call's last state carries on from there
    backend            one of `backends()`: "auto", "cpp", "cuda", "torch" or "ref"; `explain_backend` says what auto
                       takes
    seq_idx            (B, T), int32 or int64, never falling along a row: the state starts anew, from zeros, where it
                       changes. `initial_state` is that of each row's first sequence, the last state each row's last
    cu_seqlens         (S + 1,), instead: bounds 0, .., T of S sequences in a batch of one row. `initial_state` and last
                       state are (S, D, N), one for each sequence; an empty one's last state is its initial one
    returns            (B, D, T) in u's dtype; the last state (B, D, N) in float32, in float64 for float64 inputs
    raises             ValueError, quoting what was given, for shapes, dtypes or devices that do not fit together;
                       TypeError for what is no tensor; RuntimeError where a backend given by name cannot serve them
    source             Gu and Dao (2023), algorithm 2
    """
    lengths = {"seq_idx": seq_idx, "cu_seqlens": cu_seqlens}
    check_scan(u, delta, A, B, C, D, z, delta_bias, initial_state=initial_state, **lengths)
    check_choice("backend", backend, backends())
    if backend == "ref":
        inputs = (u, delta, A, B, C, D, z, delta_bias, delta_softplus)
        return selective_scan_ref(*inputs, return_last_state, initial_state, **lengths)
    dtype = _state_dtype(u)
    B, C = (x.to(dtype) if x.ndim == 2 else x.unsqueeze(1) if x.ndim == 3 else x for x in (B, C))
    A, D, delta_bias, initial_state = (x if x is None else x.to(dtype) for x in (A, D, delta_bias, initial_state))
    inputs = (u, delta, A, B, C, D, z, delta_bias, initial_state)
    packed = _packed(u, seq_idx, cu_seqlens)
    out, last = op.scan(*inputs, delta_softplus=delta_softplus, backend=backend, packed=packed)
    return (out, last) if return_last_state else out


def selective_scan_ref(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None = None,
    z: Tensor | None = None,
    delta_bias: Tensor | None = None,
    delta_softplus: bool = False,
    return_last_state: bool = False,
    initial_state: Tensor | None = None,
    seq_idx: Tensor | None = None,
    cu_seqlens: Tensor | None = None,
) -> Tensor | tuple[Tensor, Tensor]:
    """Scan by the definition, token after token; arguments as `selective_scan_fn`'s.

    Slow, obvious, in any dtype: the oracle of every backend.
    """
    lengths = {"seq_idx": seq_idx, "cu_seqlens": cu_seqlens}
    check_scan(u, delta, A, B, C, D, z, delta_bias, initial_state=initial_state, **lengths)
    if cu_seqlens is not None:
        return _one_by_one(
            u, delta, A, B, C, D, z, delta_bias, delta_softplus, return_last_state, initial_state, cu_seqlens
        )
    batch, channels, length = u.shape
    B, C = (x.expand(batch, length, -1, -1) if x.ndim == 2 else _by_token(x, channels) for x in (B, C))
    state = u.new_zeros(batch, *A.shape, dtype=_state_dtype(u)) if initial_state is None else initial_state
    outputs = []
    # Taken apart at once: the gradient of one token alone would be as long as the sequence.
    gates = [None] * length if z is None else z.unbind(-1)
    for t, (x, step, rows, columns, gate) in enumerate(
        zip(u.unbind(-1), delta.unbind(-1), B.unbind(1), C.unbind(1), gates, strict=True)
    ):
        if seq_idx is not None and t:
            state = torch.where((seq_idx[:, t] == seq_idx[:, t - 1]).view(-1, 1, 1), state, 0)
        out, state = _step(state, x, step, A, rows, columns, D, gate, delta_bias, delta_softplus)
        outputs.append(out)
    out = torch.stack(outputs, dim=-1)
    return (out, state) if return_last_state else out


def selective_scan_step(
    state: Tensor,
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None = None,
    z: Tensor | None = None,
    delta_bias: Tensor | None = None,
    delta_softplus: bool = False,
) -> tuple[Tensor, Tensor]:
    """One token of the scan, as generation needs it; operands in the order of mamba_ssm's `selective_state_update`.

    state        (B, D, N): a scan's last state, or what the step before returned; it does not change
    u, delta, z  (B, D)
    B, C         (B, N), or (B, G, N) with G groups of D / G channels
    returns      the output (B, D) in u's dtype, and the new state (B, D, N)
    raises       ValueError, quoting what was given, for shapes, dtypes or devices that do not fit together;
                 TypeError for what is no tensor
    """
    check_scan(u, delta, A, B, C, D, z, delta_bias, state=state)
    B, C = (_by_token(x.unsqueeze(-1), u.shape[1])[:, 0] for x in (B, C))
    return _step(state, u, delta, A, B, C, D, z, delta_bias, delta_softplus)


def backends() -> tuple[str, ...]:
    """What `backend` may be: "auto", which takes the first that serves, a row of `lib.names.BACKENDS`, or "ref"."""
    return ("auto", *names.BACKENDS, "ref")


def explain_backend(
    device: str | torch.device = "cpu", dtype: torch.dtype = torch.float32, backend: str = "auto"
) -> Choice:
    """Which backend serves inputs of this device and dtype, and why the others do not: print it.

    raises  ValueError for a backend that does not exist; RuntimeError where the one given by name cannot serve
    """
    device = torch.device(device)
    chosen, kernel = _choose(device, dtype, backend)
    if backend != "auto":
        about = "one token after another" if kernel is None else kernel.about()
        return Choice(chosen, {chosen: f"asked for by name; {about}"})
    reasons = {name: kernel.unavailable(device, dtype) or kernel.about() for name, kernel in KERNELS.items()}
    return Choice(chosen, reasons | {"ref": "one token after another, for tests"})


def _choose(device: torch.device, dtype: torch.dtype, backend: str) -> tuple[str, ModuleType | None]:
    """Name and module of the backend that serves; "ref" has none."""
    check_choice("backend", backend, backends())
    return (backend, None) if backend == "ref" else op.choose(device, dtype, backend)


def flops(batch: int, length: int, channels: int, states: int) -> int:
    """Operations of one scan, a multiply-add counted as two, each exponential as one.

    Per token, channel and state: delta A and its exponential, decay times state plus input times B, and C times the
    state; per token and channel: delta times u, and D u. Softplus and gate are element-wise and left out.
    """
    return batch * length * channels * (7 * states + 3)


def _step(state, u, delta, A, B, C, D, z, delta_bias, delta_softplus) -> tuple[Tensor, Tensor]:
    """Equation by equation; B and C are (B, D, N) here."""
    dtype = _state_dtype(u)
    x, delta, A, B, C = (tensor.to(dtype) for tensor in (u, delta, A, B, C))
    if delta_bias is not None:
        delta = delta + delta_bias.to(dtype)
    if delta_softplus:
        delta = F.softplus(delta)
    delta = delta.unsqueeze(-1)
    state = torch.exp(delta * A) * state.to(dtype) + delta * B * x.unsqueeze(-1)
    y = (C * state).sum(-1)
    if D is not None:
        y = y + D.to(dtype) * x
    if z is not None:
        y = y * F.silu(z.to(dtype))
    return y.to(u.dtype), state


def _packed(u: Tensor, seq_idx: Tensor | None, cu_seqlens: Tensor | None) -> tuple[Tensor, int] | tuple[()]:
    """What backends take beside the inputs: numbers of sequences, and how many have states of their own, 0 for rows."""
    if cu_seqlens is not None:
        return seq_idx_of_lengths(cu_seqlens, u.shape[2]), cu_seqlens.shape[0] - 1
    return () if seq_idx is None else (kernel_seq_idx(seq_idx), 0)


def _one_by_one(u, delta, A, B, C, D, z, delta_bias, delta_softplus, return_last_state, initial_state, cu_seqlens):
    """The scan of each sequence by itself."""
    outs, states = [], []
    for k, (start, stop) in enumerate(pairwise(cu_seqlens.tolist())):
        state = None if initial_state is None else initial_state[k : k + 1]
        if start == stop:
            states.append(u.new_zeros(1, *A.shape, dtype=_state_dtype(u)) if state is None else state)
            continue
        cut = [x if x is None or x.ndim == 2 else x[..., start:stop] for x in (u, delta, B, C, z)]
        fixed = (A, *cut[2:4], D, cut[4], delta_bias, delta_softplus, True, state)
        out, state = selective_scan_ref(*cut[:2], *fixed)
        outs.append(out), states.append(state)
    out = torch.cat(outs, dim=-1)
    return (out, torch.cat(states)) if return_last_state else out


def _by_token(matrix: Tensor, channels: int) -> Tensor:
    """(B, N, T) or (B, G, N, T) as (B, T, D, N): each group's matrix for each of its channels."""
    grouped = (matrix.unsqueeze(1) if matrix.ndim == 3 else matrix).movedim(-1, 1)
    if grouped.shape[2] == 1:  # a view costs a generated token less than a copy
        return grouped.expand(-1, -1, channels, -1)
    return grouped.repeat_interleave(channels // grouped.shape[2], dim=2)


def _state_dtype(u: Tensor) -> torch.dtype:
    return torch.float64 if u.dtype == torch.float64 else torch.float32
