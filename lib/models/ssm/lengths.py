"""Sequences of several lengths side by side in one row, as peers name them: `seq_idx` and `cu_seqlens`.

    seq_idx      (B, T), which sequence of its row a token is of, from 0 on, never falling: causal_conv1d, mamba_ssm
    cu_seqlens   (S + 1,), where S sequences in one row begin, and the end of the last, 0, .., T: FlashAttention

Nothing passes from a sequence to the next one: a state starts anew where `seq_idx` changes, and a convolution sees
zeros before it. Symbols: `lib/__init__.py`.
"""

import torch
from torch import Tensor

from lib.kernels.eager import readable
from lib.models.checks import check_count, check_dtype, check_shape

INTEGERS = (torch.int32, torch.int64)


def seq_idx_of_lengths(cu_seqlens: Tensor, length: int) -> Tensor:
    """Numbers (1, T) of the sequences of T = `length` tokens that `cu_seqlens` bounds, as int32.

    raises   TypeError for what is no tensor; ValueError, quoting them, for bounds that are not 0, .., T, never falling:
             values are looked at on a CPU only
    """
    check_count("length", length)
    check_cu_seqlens(cu_seqlens, length)
    tokens = torch.arange(length, device=cu_seqlens.device)
    inner = cu_seqlens[1:-1].contiguous()  # a token at or after a bound is beyond it
    return torch.searchsorted(inner.long(), tokens, right=True, out_int32=True).unsqueeze(0)


def seq_idx_of_positions(position_ids: Tensor) -> Tensor:
    """Numbers (B, T) of the sequences in which tokens have the places `position_ids` (B, T), as int32.

    Places count from 0 in each sequence, as transformers' DataCollatorWithFlattening makes them: 0, 1, 2, 0, 1, 0, ..
    raises   TypeError for what is no tensor; ValueError for places that neither go on by one nor start with 0
    """
    check_shape("position_ids", position_ids, "B", "T")
    check_dtype("position_ids", position_ids, *INTEGERS)
    starts = position_ids == 0
    if readable(position_ids) and position_ids.device.type == "cpu":
        goes_on = position_ids[:, 1:] == position_ids[:, :-1] + 1
        wrong = ~(goes_on | starts[:, 1:])
        if wrong.any() or not starts[:, 0].all():
            at = 0 if not starts[:, 0].all() else wrong.any(0).nonzero()[0].item() + 1
            raise ValueError(
                f"position_ids at token {at} are {position_ids[:, at].tolist()}: 0, where a sequence starts, or one "
                "more than before is needed"
            )
    return starts.cumsum(1, dtype=torch.int32) - 1


def check_cu_seqlens(cu_seqlens: Tensor, length: int) -> None:
    """Accept bounds of sequences that make up T = `length` tokens; empty ones among them.

    raises   TypeError for what is no tensor; ValueError, quoting them, for others: values are looked at on a CPU only
    """
    check_shape("cu_seqlens", cu_seqlens, "S + 1", **{"S + 1": 2})
    check_dtype("cu_seqlens", cu_seqlens, *INTEGERS)
    if not readable(cu_seqlens) or cu_seqlens.device.type != "cpu":
        return
    first, last = cu_seqlens[0].item(), cu_seqlens[-1].item()
    if first != 0 or last != length:
        raise ValueError(f"cu_seqlens from {first} to {last}: from 0 to {length} is needed, the number of tokens")
    if (falls := (cu_seqlens[1:] < cu_seqlens[:-1]).nonzero()).numel():
        at = falls[0].item()
        raise ValueError(f"cu_seqlens falls from {cu_seqlens[at]} to {cu_seqlens[at + 1]}: bounds that rise are needed")


def check_seq_idx(seq_idx: Tensor, batch: int, length: int, device: torch.device) -> None:
    """Accept numbers of the sequences of B rows of T tokens.

    raises   TypeError for what is no tensor; ValueError, quoting shape, dtype, device or values, for others: values are
             looked at on a CPU only
    """
    check_shape("seq_idx", seq_idx, batch, length)
    check_dtype("seq_idx", seq_idx, *INTEGERS)
    if seq_idx.device != device:
        raise ValueError(f"seq_idx on {seq_idx.device}: {device} is needed, where the tokens are")
    if not readable(seq_idx) or device.type != "cpu":
        return
    if (least := seq_idx.min().item()) < 0:
        raise ValueError(f"seq_idx of {least}: numbers of at least 0 are needed")
    if (falls := (seq_idx[:, 1:] < seq_idx[:, :-1]).nonzero()).numel():
        row, at = falls[0].tolist()
        before, after = seq_idx[row, at : at + 2].tolist()
        raise ValueError(
            f"seq_idx falls from {before} to {after} at token {at + 1} of row {row}: numbers that never fall along a "
            "row are needed"
        )


def kernel_seq_idx(seq_idx: Tensor) -> Tensor:
    """The same borders in int32 without gaps, as kernels read them."""
    if seq_idx.dtype == torch.int32:
        return seq_idx.contiguous()
    changes = torch.zeros_like(seq_idx)
    changes[:, 1:] = seq_idx[:, 1:] != seq_idx[:, :-1]
    return changes.cumsum(1, dtype=torch.int32)  # however large the numbers were
