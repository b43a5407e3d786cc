"""Memory: peak bytes that a call adds to what was alive before it.

On CUDA the allocator keeps the peak. A second call counts: what the first one leaves behind, such as workspaces of
libraries, would otherwise be added to whichever case comes first. On a CPU every tensor that torch hands out is
followed until its storage dies: the same call gives the same number on every machine. Scratch space inside one
operator is not seen there. Resident set size is not used: it depends on the allocator's mood.
"""

import weakref
from collections.abc import Callable

import psutil
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter

from lib.profilers import container
from lib.profilers.failures import release


def peak_bytes(call: Callable[[], object], *, device: str | torch.device = "cpu", inference: bool = True) -> int:
    """Peak of live tensor bytes during one call, minus those at its start: the result counts, inputs do not.

    inference  run under `torch.inference_mode`; False for training steps
    raises     ValueError for a device that is neither a CPU nor CUDA
    """
    device = torch.device(device)
    with torch.inference_mode(inference):
        match device.type:
            case "cpu":
                with LiveBytes() as live:
                    call()
                return live.peak
            case "cuda":
                return _cuda_peak(call, device)
    raise ValueError(f"device = {device}: memory is measured on cpu and cuda")


def available_bytes(device: str | torch.device = "cpu") -> int:
    """Bytes that can still be allocated on a device without swapping; blocks that torch's allocator caches count.

    Of a CPU's, no more than a container or a limit of this process leaves, see `lib.profilers.container`.
    """
    device = torch.device(device)
    if device.type == "cuda":
        cached = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + cached
    limited = container.free_bytes()
    return psutil.virtual_memory().available if limited is None else min(limited, psutil.virtual_memory().available)


class LiveBytes(TorchDispatchMode):
    """A context that counts the bytes of tensors born inside of it, and keeps their peak."""

    def __init__(self):
        super().__init__()
        self.live = 0
        self.peak = 0
        self._sizes: dict[int, int] = {}

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        for older in tree_iter((args, kwargs)):
            self._see(older, born=False)
        result = func(*args, **kwargs)
        for newer in tree_iter(result):
            self._see(newer, born=True)
        return result

    def _see(self, value: object, born: bool) -> None:
        if not isinstance(value, Tensor) or value.layout != torch.strided:
            return
        storage = value.untyped_storage()
        key = storage._cdata  # a view shares its storage, a storage its address
        if key in self._sizes:
            return
        self._sizes[key] = storage.nbytes() if born else 0
        self.live += self._sizes[key]
        self.peak = max(self.peak, self.live)
        weakref.finalize(storage, self._forget, key)

    def _forget(self, key: int) -> None:
        self.live -= self._sizes.pop(key)


def _cuda_peak(call: Callable[[], object], device: torch.device) -> int:
    call()
    torch.cuda.synchronize(device)
    release(device)  # a model of an earlier case may wait in a reference cycle
    torch.cuda.reset_peak_memory_stats(device)
    start = torch.cuda.memory_allocated(device)
    call()
    torch.cuda.synchronize(device)
    return torch.cuda.max_memory_allocated(device) - start
