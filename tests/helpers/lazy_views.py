"""Tensors of the same values that lie otherwise in memory, or are not worked out yet, by name."""

import torch
from torch import Tensor


class Named(Tensor):
    """A subclass of Tensor, as libraries have them."""


def unaligned(x: Tensor) -> Tensor:
    """Elements that begin one byte after an address that is a multiple of their size."""
    kept = bytearray(b"\0" + x.detach().contiguous().numpy().tobytes())
    return torch.frombuffer(kept, dtype=x.dtype, offset=1).view(x.shape)


def stepped(x: Tensor) -> Tensor:
    """Every other element of a wider tensor."""
    wide = torch.full((*x.shape[:-1], 2 * x.shape[-1] + 1), torch.nan, dtype=x.dtype)
    wide[..., 1::2] = x
    return wide[..., 1::2]


def in_inference(x: Tensor) -> Tensor:
    """A tensor without a version, as inference mode makes it."""
    with torch.inference_mode():
        return x.clone()


LAZY = {
    "negated imaginary part": lambda x: torch.complex(torch.zeros_like(x), -x).conj().imag,
    "negative view": lambda x: (-x)._neg_view(),
    "stepped": stepped,
    "last axis first": lambda x: x.movedim(-1, 0).contiguous().movedim(0, -1),
    "unaligned": unaligned,
    "functional": torch._to_functional_tensor,
    "inference": in_inference,
    "subclass": lambda x: x.as_subclass(Named),
    "parameter": lambda x: torch.nn.Parameter(x, requires_grad=False),
}


def plain(x: Tensor) -> Tensor:
    """An ordinary tensor of the same values."""
    return (torch._from_functional_tensor(x) if torch._is_functional_tensor(x) else x).as_subclass(Tensor)


LAYOUTS = {  # what no kernel reads, by the words that refuse it
    "sparse": (lambda x: x.to_sparse(), "of layout torch.sparse_coo"),
    "mkldnn": (lambda x: x.to_mkldnn(), "of layout torch._mkldnn"),
    "nested": (lambda x: torch.nested.nested_tensor(list(x)), "a nested tensor"),
    "jagged": (lambda x: torch.nested.nested_tensor(list(x), layout=torch.jagged), "a nested tensor"),
}
