"""A scan as `problem.cuh` reads it: addresses, strides and sizes, in the same order."""

from ctypes import Structure, addressof, c_int, c_longlong, c_void_p, memmove, sizeof
from typing import Self

from torch import Tensor

_POINTERS = (
    *("u", "delta", "z", "B", "C", "out"),
    *("A", "D", "bias", "fixed_B", "fixed_C", "initial"),
    *("last", "saved", "ends", "steps", "grad_out", "grad_u", "grad_delta", "grad_z", "grad_B", "grad_C"),
    *("dense", "carry", "carried", "part_A", "part_D", "part_bias", "part_B", "part_C", "part_rows"),
    *("grad_A", "grad_D", "grad_bias", "grad_fixed_B", "grad_fixed_C"),
    *("seq_idx", "grad_last", "grad_initial", "crossed"),
)
_STRIDES = {"u": 3, "delta": 3, "z": 3, "out": 3, "B": 4, "C": 4} | {
    **{"grad_out": 3, "grad_u": 3, "grad_delta": 3, "grad_z": 3, "grad_B": 4, "grad_C": 4}
}
_SIZES = (
    *("batch", "channels", "length", "run", "blocks_of_run", "group_B", "group_C", "blocks"),
    *("first", "stop", "span", "segments", "add", "finish", "sequences"),
)


class Problem(Structure):
    """One launch's argument; what is not set is null or zero."""

    _fields_ = [
        *((name, c_void_p) for name in _POINTERS),
        *((f"stride_{name}", c_longlong * axes) for name, axes in _STRIDES.items()),
        *((name, c_int) for name in _SIZES),
    ]

    def copy(self) -> Self:
        """Another one with the same fields: a plan's own is shared by threads."""
        made = type(self)()
        memmove(addressof(made), addressof(self), sizeof(self))
        return made

    def lay(self, **tensors: Tensor | None) -> None:
        """Set strides."""
        for name, x in tensors.items():
            if x is not None:
                setattr(self, f"stride_{name}", (c_longlong * _STRIDES[name])(*x.stride()))

    def point(self, **tensors: Tensor | None) -> None:
        """Set addresses; None is null."""
        for name, x in tensors.items():
            setattr(self, name, None if x is None else x.data_ptr())

    def size(self, **sizes: int) -> None:
        """Set sizes and flags."""
        for name, value in sizes.items():
            setattr(self, name, value)
