"""The scan of Mamba-2 by that of Mamba: a head of P channels shares one step size and one decay for all of its states.

On a CPU it was faster than the chunked products of matrices that transformers computes instead, at 16 to 256 states and
heads of 64 channels. On a GPU, with its matrix units, that is not known: there, nothing changes.
Symbols: `lib/__init__.py`; H heads of P channels, G groups of B and C.
Source: Dao and Gu (2024), https://arxiv.org/abs/2405.21060.
"""

import functools
import math
import warnings
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from lib.models.checks import check_choice
from lib.models.ssm.scan import KERNELS, backends, selective_scan_fn

# Of several sequences in a row, what attention needs of them; a scan and a convolution have `seq_idx` beside it.
OF_ATTENTION = ("cu_seq_lens_q", "cu_seq_lens_k", "max_length_q", "max_length_k")
BESIDE = (*OF_ATTENTION, "position_ids")
# What transformers hands down to every layer, and no scan depends on.
ELSEWHERE = ("num_items_in_batch", "output_attentions", "output_hidden_states", "output_router_logits")


def check_wishes(**others: object) -> None:
    """Accept what a scan does not depend on: a wish must not be dropped in silence.

    raises   ValueError, naming it, for any other option that is not None
    """
    if given := [name for name, value in others.items() if value is not None and name not in ELSEWHERE]:
        raise ValueError(f"{', '.join(given)}: the accelerated scan does not know it; undo the acceleration")


def heads_scan(
    x: Tensor,
    dt: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None = None,
    dt_bias: Tensor | None = None,
    initial_states: Tensor | None = None,
    dt_softplus: bool = False,
    dt_limit: tuple[float, float] = (0.0, math.inf),
    backend: str = "auto",
    seq_idx: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Scan T tokens of H heads of P channels with N states each; every tensor gets a gradient.

    x               (B, T, H, P)
    dt              (B, T, H), step sizes: softplus(dt + dt_bias) where `dt_softplus`, clamped to `dt_limit`
    A, D, dt_bias   (H,); D also (H, P)
    B, C            (B, T, G, N)
    initial_states  (B, H, P, N)
    seq_idx         (B, T), numbers of the sequences that share a row, see `lib.models.ssm.lengths`
    returns         (B, T, H, P) and the last states (B, H, P, N), in float32 at least
    raises          as `selective_scan_fn`
    """
    check_choice("backend", backend, backends())
    (_, _, heads, width), states = x.shape, B.shape[-1]
    if tuple(dt_limit) != (0.0, math.inf):
        dt = dt if dt_bias is None else dt + dt_bias.to(dt.dtype)
        dt, dt_bias, dt_softplus = (F.softplus(dt) if dt_softplus else dt).clamp(*dt_limit), None, False
    elif not dt_softplus:
        dt, dt_bias = (dt if dt_bias is None else dt + dt_bias.to(dt.dtype)).clamp(min=0), None

    def wide(per_head: Tensor | None) -> Tensor | None:
        return per_head if per_head is None else per_head.repeat_interleave(width, -1, output_size=heads * width)

    precise = torch.promote_types(x.dtype, torch.float32)
    out, last = selective_scan_fn(
        x.to(precise).flatten(2).mT,
        wide(dt).mT,
        wide(A.to(precise)).unsqueeze(1).expand(-1, states),
        *(matrix.permute(0, 2, 3, 1) for matrix in (B, C)),
        D=D.flatten() if D is not None and D.ndim > 1 else wide(D),
        delta_bias=wide(dt_bias),
        delta_softplus=dt_softplus,
        return_last_state=True,
        initial_state=None if initial_states is None else initial_states.flatten(1, 2),
        backend=backend,
        seq_idx=seq_idx,
    )
    return out.mT.contiguous().unflatten(2, (heads, width)), last.unflatten(1, (heads, width))


def chunk_scan(original: Callable, backend: str) -> Callable:
    """What stands in the place of transformers' `mamba2_chunk_scan`; the original computes where ours is not faster.

    original   transformers' own
    backend    as in `selective_scan_fn`; by "auto", only C++ is faster
    """
    compiled = KERNELS["cpp"].unavailable(torch.device("cpu"), torch.float32) is None

    def mamba2_chunk_scan(
        hidden_states, dt, A, B, C, chunk_size, D=None, dt_bias=None, initial_states=None, dt_softplus=False,
        dt_limit=(0.0, math.inf), return_final_states=False, z=None, seq_idx=None, **others,
    ):  # fmt: skip
        if seq_idx is not None:
            others = {name: value for name, value in others.items() if name not in BESIDE}
        check_wishes(z=z, **others)
        shared = {"D": D, "dt_bias": dt_bias, "initial_states": initial_states}
        shared |= {"dt_softplus": dt_softplus, "dt_limit": dt_limit}
        faster = hidden_states.device.type == "cpu" and compiled and hidden_states.dtype != torch.float64
        if backend == "auto" and not faster and seq_idx is None:  # in torch, theirs lets sequences mix
            if not torch.compiler.is_compiling():
                _say(f"{hidden_states.dtype} on {hidden_states.device.type}")
            own = {"chunk_size": chunk_size, "return_final_states": return_final_states}
            return original(hidden_states, dt, A, B, C, **own, **shared)
        out, last = heads_scan(hidden_states, dt, A, B, C, **shared, backend=backend, seq_idx=seq_idx)
        return (out, last) if return_final_states else out

    return mamba2_chunk_scan


@functools.cache
def _say(kind: str) -> None:
    warnings.warn(
        f"{kind}: transformers' own scan of Mamba-2 computes; ours is known to be faster compiled, on a CPU, in single "
        "and half precision",
        stacklevel=3,
    )
