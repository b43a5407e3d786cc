"""Load compiled modules and launch their kernels, through CUDA's driver."""

import ctypes
import functools
import threading
import warnings
from collections.abc import Callable

import torch

from lib.kernels import nvrtc
from lib.kernels.build import BuildError

_loading = threading.Lock()


class Module:
    """A compiled source with one set of options, on each device where it is used.

    source    a file below lib/kernels
    options   of the compiler
    """

    def __init__(self, source: str, options: tuple[str, ...]):
        self.source, self.options = source, options
        self._functions: dict[tuple[str, int], ctypes.c_void_p] = {}
        self._loaded: dict[int, ctypes.c_void_p] = {}

    def launch(
        self, name: str, grid: tuple[int, int, int], threads: int, argument: ctypes.Structure, device: torch.device
    ) -> None:
        """Start a kernel on the device's current stream; its one argument is copied at once.

        raises  BuildError where the module cannot be compiled or loaded; RuntimeError, naming the kernel and what the
                driver says, where it does not start
        """
        index = torch.cuda.current_device() if device.index is None else device.index
        if torch.cuda.current_device() != index:
            with torch.cuda.device(index):
                return self.launch(name, grid, threads, argument, torch.device("cuda", index))
        _have_context(index)
        kernel = self._functions.get((name, index)) or self._function(name, index)
        given = (ctypes.c_void_p * 1)(ctypes.addressof(argument))
        code = _cuda().cuLaunchKernel(kernel, *grid, threads, 1, 1, 0, _stream(index), given, None)
        if code:
            raise RuntimeError(f"{self.source}: kernel {name} with grid {grid} did not start: {_said(code)}")

    def _function(self, name: str, index: int) -> ctypes.c_void_p:
        with _loading:
            if index not in self._loaded:
                image = nvrtc.compiled(self.source, self.options, torch.cuda.get_device_capability(index))
                module = ctypes.c_void_p()
                if code := _cuda().cuModuleLoadData(ctypes.byref(module), image):
                    raise BuildError(f"{self.source}: the driver does not load it: {_said(code)}")
                self._loaded[index] = module
            kernel = ctypes.c_void_p()
            if code := _cuda().cuModuleGetFunction(ctypes.byref(kernel), self._loaded[index], name.encode()):
                raise BuildError(f"{self.source} has no kernel {name}: {_said(code)}")
            self._functions[name, index] = kernel
            return kernel


@functools.cache
def unavailable(device: torch.device) -> str | None:
    """Why kernels compiled here cannot run on a device, or None: asked once in a process."""
    if device.type != "cuda":
        return f"runs on CUDA GPUs, not on {device.type}"
    if torch.version.hip is not None:
        return "runs on NVIDIA's GPUs, not on AMD's"
    if not torch.cuda.is_available():
        return "torch finds no CUDA GPU"
    major, minor = torch.cuda.get_device_capability(device)
    if (major, minor) < nvrtc.OLDEST:
        return f"compute capability {major}.{minor}: {nvrtc.OLDEST[0]}.{nvrtc.OLDEST[1]} or newer is needed"
    return nvrtc.unavailable()


class Trial:
    """Whether kernels run right on a device: tried once, on something small, and said aloud where they do not.

    instead   what happens then, for the warning
    run       makes one number on a device
    wanted    that number
    """

    def __init__(self, instead: str, run: Callable[[torch.device], float], wanted: float):
        self.instead, self.run, self.wanted = instead, run, wanted
        self.faults: dict[torch.device, str | None] = {}

    def fault(self, device: torch.device) -> str | None:
        """What goes wrong, in one line, or None; None, too, while a graph is captured: nothing can be read then."""
        if device not in self.faults:
            if torch.cuda.is_current_stream_capturing():
                return None
            self.faults[device] = self.tried(device)
            if self.faults[device]:
                warnings.warn(f"{self.instead}: {self.faults[device]}", stacklevel=5)
        return self.faults[device]

    def tried(self, device: torch.device) -> str | None:
        """What goes wrong now.

        raises   torch.OutOfMemoryError: what was asked for would not fit either
        """
        try:
            found = self.run(device)
        except torch.OutOfMemoryError:
            raise
        except Exception as error:  # whatever it is: a driver too old, a cache that cannot be read
            return f"its kernels do not run on {device}: {next(iter(str(error).splitlines()), type(error).__name__)}"
        if abs(found - self.wanted) < 1e-4:
            return None
        return f"its kernels compute {found} on {device}, not {self.wanted:.4f}"


@functools.cache
def multiprocessors(device: torch.device) -> int:
    """Streaming multiprocessors of a device; one of what is no GPU."""
    return torch.cuda.get_device_properties(device).multi_processor_count if device.type == "cuda" else 1


@functools.cache
def shared_bytes(device: torch.device) -> int:
    """Shared memory of a multiprocessor; a T4's where it is not known, as of a GPU that is not there."""
    if device.type != "cuda" or not torch.cuda.is_available():
        return 64 * 2**10
    return getattr(torch.cuda.get_device_properties(device), "shared_memory_per_multiprocessor", 64 * 2**10)


def _have_context(index: int) -> None:
    """Make the context that torch uses current where this thread has none yet: autograd's threads may not."""
    context, device = ctypes.c_void_p(), ctypes.c_int()
    _cuda().cuCtxGetCurrent(ctypes.byref(context))
    if context.value:
        return
    for code in (
        _cuda().cuDeviceGet(ctypes.byref(device), index),
        _cuda().cuDevicePrimaryCtxRetain(ctypes.byref(context), device),
        _cuda().cuCtxSetCurrent(context),
    ):
        if code:
            raise RuntimeError(f"no context on cuda:{index}: {_said(code)}")


def _stream(index: int) -> ctypes.c_void_p:
    return ctypes.c_void_p(torch.cuda.current_stream(index).cuda_stream)


def _said(code: int) -> str:
    text = ctypes.c_char_p()
    _cuda().cuGetErrorString(code, ctypes.byref(text))
    return f"error {code}, {text.value.decode() if text.value else 'unknown'}"


@functools.cache
def _cuda() -> ctypes.CDLL:
    try:
        return ctypes.CDLL("nvcuda.dll" if hasattr(ctypes, "WinDLL") else "libcuda.so.1")
    except OSError as error:
        raise BuildError(f"CUDA's driver is not found: {error}") from None
