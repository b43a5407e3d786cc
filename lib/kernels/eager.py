"""Whether tensors may be read now: their values by a check, their addresses by a kernel."""

import functools

import torch
from torch import Tensor
from torch.autograd import forward_ad

PLAIN = {Tensor, torch.nn.Parameter, type(None)}  # of these types themselves: a subclass may hold no data
MODES = tuple(torch._C._TorchDispatchModeKey.__members__.values())  # torch's own, which make tensors without values
DEVICES = ("cpu", "cuda")  # where an address can be read by a kernel of ours

_keys = torch._C._dispatch_keys
_ordinary: set[int] = set()  # what torch's dispatcher does to tensors whose memory holds their values as they are


def readable(*tensors: Tensor | None) -> bool:
    """Whether these tensors hold values, and nobody compiles, exports, traces or transforms what depends on them."""
    if not _seen(*tensors) or any(x is not None and x.is_meta for x in tensors):
        return False
    if not torch._C._len_torch_dispatch_stack():
        return True
    return all(torch._C._get_dispatch_mode(key) is None for key in MODES)


def eager(*tensors: Tensor | None) -> bool:
    """Whether their values lie at their addresses, and nobody looks at operators: no mode, no forward differentiation.

    Lazy views (`z.conj().imag`), tensors of zeros without memory, functional, sparse and nested ones do not: torch's
    dispatcher makes ordinary tensors of them. Two microseconds for ten, where a way through it into Python takes ten.
    """
    if not _seen(*tensors) or torch._C._len_torch_dispatch_stack() or forward_ad._current_level >= 0:
        return False
    found = {_keys(x).raw_repr() for x in tensors if x is not None}
    if found <= _ordinary:
        return True
    for kind in {x.device.type for x in tensors if x is not None}:
        _learn(kind)
    return found <= _ordinary


def settled(x: Tensor) -> Tensor:
    """The tensor itself, or a copy whose memory holds the values of a view that is not worked out yet."""
    x = x.clone() if x._is_zerotensor() else x
    return x.resolve_conj().resolve_neg()


def _seen(*tensors: Tensor | None) -> bool:
    if torch.compiler.is_compiling() or torch.jit.is_tracing() or torch._C._are_functorch_transforms_active():
        return False
    return PLAIN.issuperset(map(type, tensors))


@functools.cache
def _learn(kind: str) -> None:
    """Remember the keys of the dispatcher that a new tensor on such a device has, in inference mode too."""
    for inference in (False, True) if kind in DEVICES else ():
        with torch.inference_mode(inference):
            _ordinary.add(_keys(torch.empty(0, device=kind)).raw_repr())
