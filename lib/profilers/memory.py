"""Memory: peak bytes that a call adds to what was alive before it.

On CUDA the allocator keeps the peak. A second call counts: what the first one leaves behind, such as workspaces of
libraries, would otherwise be added to whichever case comes first. On a CPU every tensor that torch hands out is
followed until its storage dies: the same call gives the same number on every machine. Scratch space inside one
operator is not seen there. Resident set size is not used: it depends on the allocator's mood.
"""

import threading
import weakref
from collections.abc import Callable
from typing import Self

import psutil
import torch
from torch import Tensor
from torch.utils._pytree import tree_iter

from lib.profilers import container
from lib.profilers.calls import check_callable, computed, settings_kept
from lib.profilers.failures import release
from lib.profilers.unseen import Shared, seen


def peak_bytes(call: Callable[[], object], *, device: str | torch.device = "cpu", inference: bool = True) -> int:
    """Peak of live tensor bytes during one call, minus those at its start: the result counts, inputs do not.

    On a CPU a compiled function is measured as it was written, and threads that the call starts are followed.

    inference  run under `torch.inference_mode`; False for training steps
    raises     ValueError for a device that is neither a CPU nor CUDA; TypeError for what cannot be called
    """
    device = torch.device(device)
    check_callable(call)
    with settings_kept(), torch.inference_mode(inference):
        match device.type:
            case "cpu":
                with seen(), LiveBytes() as live:
                    result = call()
                    computed(result, device)
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


class LiveBytes(Shared):
    """A context that counts the bytes of tensors born inside of it, and keeps their peak."""

    def __init__(self, tally: "_Bytes | None" = None):
        super().__init__()
        self._tally = tally or _Bytes()

    @property
    def live(self) -> int:
        """Bytes that live now."""
        return self._tally.live

    @property
    def peak(self) -> int:
        """The most bytes that lived at once."""
        return self._tally.peak

    def copy(self) -> Self:
        """A context for another thread, to the same account."""
        return type(self)(self._tally)

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        for older in tree_iter((args, kwargs)):
            self._tally.see(older, born=False)
        result = func(*args, **kwargs)
        for newer in tree_iter(result):
            self._tally.see(newer, born=True)
        return result


class _Bytes:
    """Bytes of tensors that were seen and live, of all threads."""

    def __init__(self):
        self.live = 0
        self.peak = 0
        self._sizes: dict[int, int] = {}
        self._lock = threading.RLock()  # a tensor may die while another one is entered

    def see(self, value: object, born: bool) -> None:
        """Enter what holds a tensor's numbers, if it is new: with its bytes where it was born just now."""
        if not isinstance(value, Tensor):
            return
        for held in _parts(value):
            if held.layout != torch.strided:  # it has no storage: the tensor itself stands for it
                self._enter(id(held), held, held.numel() * held.element_size() if born else 0)
                continue
            storage = held.untyped_storage()  # a view shares its storage, a storage its address
            self._enter(storage._cdata, storage, storage.nbytes() if born else 0)

    def _enter(self, key: int, held: object, size: int) -> None:
        with self._lock:
            if key in self._sizes:
                return
            self._sizes[key] = size
            self.live += size
            self.peak = max(self.peak, self.live)
        weakref.finalize(held, self._forget, key)

    def _forget(self, key: int) -> None:
        with self._lock:
            self.live -= self._sizes.pop(key)


def _parts(value: Tensor) -> list[Tensor]:
    """The tensors that hold a tensor's numbers: of a sparse one its values and where they stand."""
    if value.layout == torch.sparse_coo:
        return [value._indices(), value._values()]
    if value.layout in (torch.sparse_csr, torch.sparse_bsr):
        return [value.crow_indices(), value.col_indices(), value.values()]
    if value.layout in (torch.sparse_csc, torch.sparse_bsc):
        return [value.ccol_indices(), value.row_indices(), value.values()]
    return [value]


def _cuda_peak(call: Callable[[], object], device: torch.device) -> int:
    call()
    torch.cuda.synchronize(device)
    release(device)  # a model of an earlier case may wait in a reference cycle
    torch.cuda.reset_peak_memory_stats(device)
    start = torch.cuda.memory_allocated(device)
    computed(call(), device)
    torch.cuda.synchronize(device)
    return torch.cuda.max_memory_allocated(device) - start
