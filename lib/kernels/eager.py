"""Whether tensors may be read now: their values by a check, their addresses by a kernel."""

import torch
from torch import Tensor
from torch.autograd import forward_ad

PLAIN = {Tensor, torch.nn.Parameter, type(None)}  # of these types themselves: a subclass may hold no data


def readable(*tensors: Tensor | None) -> bool:
    """Whether these tensors hold values, and nobody compiles, exports, traces or transforms what depends on them."""
    if torch.compiler.is_compiling() or torch.jit.is_tracing() or torch._C._are_functorch_transforms_active():
        return False
    return PLAIN.issuperset(map(type, tensors))


def eager(*tensors: Tensor | None) -> bool:
    """Whether, besides, nobody looks at the operators: no mode that counts or keeps them, no forward differentiation.

    Half a microsecond, where one way through torch's dispatcher into Python takes ten.
    """
    return readable(*tensors) and torch._C._len_torch_dispatch_stack() == 0 and forward_ad._current_level < 0
