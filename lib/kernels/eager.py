"""Whether tensors may be read now, by a kernel that takes their addresses or a check that looks at their values."""

import torch
from torch import Tensor
from torch.autograd import forward_ad

PLAIN = {Tensor, torch.nn.Parameter, type(None)}  # of these types themselves: a subclass may hold no data


def eager(*tensors: Tensor | None) -> bool:
    """Whether these tensors hold data, and nobody compiles, exports, traces, counts or transforms what is done to them.

    Half a microsecond, where one way through torch's dispatcher into Python takes ten.
    """
    if (
        torch.compiler.is_compiling()
        or torch.jit.is_tracing()
        or torch._C._len_torch_dispatch_stack()
        or torch._C._are_functorch_transforms_active()
        or forward_ad._current_level >= 0
    ):
        return False
    return PLAIN.issuperset(map(type, tensors))
