"""What the selective scan and its single step refuse: inputs that do not fit together. Symbols: `lib/__init__.py`."""

import torch
from torch import Tensor

from lib.models.checks import check_shape, check_tensor
from lib.models.ssm.lengths import check_cu_seqlens, check_seq_idx

FLOATS = (torch.float32, torch.bfloat16, torch.float16, torch.float64)
OPTIONAL = ("D", "z", "delta_bias", "initial_state")


def check_scan(u, delta, A, B, C, D, z, delta_bias, seq_idx=None, cu_seqlens=None, **state) -> None:
    """Accept inputs of the scan, with an `initial_state`, or of one step, with a `state` and without an axis T.

    seq_idx, cu_seqlens   of several sequences in a row, see `lib.models.ssm.lengths`; one of them at most

    raises   TypeError for what is no dense tensor; ValueError, quoting all that was given, for shapes, dtypes or
             devices that do not fit together
    """
    given = dict(u=u, delta=delta, A=A, B=B, C=C, D=D, z=z, delta_bias=delta_bias, **state)
    given = {name: tensor for name, tensor in given.items() if tensor is not None or name not in OPTIONAL}
    for name, tensor in given.items():
        if not isinstance(tensor, Tensor) or tensor.layout is not torch.strided or tensor.is_nested:
            check_tensor(name, tensor)
    if wrong := {name: tensor.dtype for name, tensor in given.items() if tensor.dtype not in FLOATS}:
        said = ", ".join(f"{name} is {dtype}" for name, dtype in wrong.items())
        raise ValueError(f"{said}: real floating-point tensors are needed")
    if len({tensor.device for tensor in given.values()}) > 1:
        said = ", ".join(f"{name} on {tensor.device}" for name, tensor in given.items())
        raise ValueError(f"all tensors must be on one device, not {said}")
    axes = "BD" if "state" in given else "BDT"
    if seq_idx is None and cu_seqlens is None:
        return _validate_shapes(given, axes)
    if seq_idx is not None and cu_seqlens is not None:
        raise ValueError("seq_idx and cu_seqlens are given: one of them is needed, they say the same")
    check_shape("u", u, "B", "D", "T")
    if seq_idx is not None:
        check_seq_idx(seq_idx, u.shape[0], u.shape[2], u.device)
        return _validate_shapes(given, axes)
    if u.shape[0] != 1:
        raise ValueError(f"cu_seqlens with {u.shape[0]} rows: one row is needed, which holds all sequences")
    check_cu_seqlens(cu_seqlens, u.shape[2])
    if cu_seqlens.device != u.device:
        raise ValueError(f"cu_seqlens on {cu_seqlens.device}: {u.device} is needed, where the tokens are")
    _validate_shapes(given, axes, sequences=cu_seqlens.shape[0] - 1)


def _validate_shapes(given: dict[str, Tensor], axes: str, sequences: int | None = None) -> None:
    u, A = given["u"], given["A"]
    if u.ndim != len(axes) or A.ndim != 2:
        raise ValueError(f"u must be ({', '.join(axes)}) and A (D, N), not {_shapes(given)}")
    (batch, channels, *time), states = u.shape, A.shape[1]
    if 0 in (*u.shape, states):
        raise ValueError(f"no axis may be empty: {_shapes(given)}")
    sequence, state = (batch, channels, *time), (batch if sequences is None else sequences, channels, states)
    expected = {
        **{"delta": sequence, "A": (channels, states), "D": (channels,), "z": sequence, "delta_bias": (channels,)},
        **{"initial_state": state, "state": state},
    }
    for name, tensor in given.items():
        shape = expected.get(name)
        if shape is not None and tensor.shape != shape:
            raise ValueError(f"{name} must be {shape}, not {tuple(tensor.shape)}, beside {_shapes(given)}")
    for name in ("B", "C"):
        shape = tuple(given[name].shape)
        # By the number of axes first: a compiler would hold on to the outcome of comparing sizes of different axes.
        if len(shape) == len(axes) and shape == (batch, states, *time):
            continue
        groups = shape[1] if len(shape) == len(axes) + 1 else 1
        allowed = {2: (channels, states)} if time else {}  # in a step, there is no telling what does not vary
        allowed |= {len(axes): (batch, states, *time), len(axes) + 1: (batch, groups, states, *time)}
        if len(shape) not in allowed or shape != allowed[len(shape)]:
            grouped = str((batch, "G", states, *time)).replace("'", "")
            needed = " or ".join([", ".join(map(str, [*allowed.values()][:-1])), grouped])
            raise ValueError(f"{name} must be {needed}, not {shape}, beside {_shapes(given)}")
        if groups < 1 or channels % groups:
            raise ValueError(
                f"{name} has {groups} groups, which do not divide the {channels} channels of {_shapes(given)}"
            )


def _shapes(given: dict[str, Tensor]) -> str:
    return ", ".join(f"{name} {tuple(tensor.shape)}" for name, tensor in given.items())
