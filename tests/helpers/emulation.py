"""CUDA kernels on a CPU: the same device source under g++, with a block of threads emulated.

`emulated(order)` replaces the driver's launches; tensors stay on the CPU. Orders: 0 forward, 1 backward, others random.
"""

import ctypes
import functools
import hashlib
import os
import re
import shutil
import subprocess
from contextlib import contextmanager
from pathlib import Path

import pytest

from lib.kernels import build, driver
from lib.kernels.scan import cuda
from lib.kernels.scan.cuda import plans

HERE = Path(__file__).parents[1] / "kernels" / "emulation"
NEEDED = pytest.mark.skipif(shutil.which("g++") is None, reason="no g++ on PATH: the emulation is compiled with it")
INCLUDE = re.compile(r'#include "([\w./]+)"')


@contextmanager
def emulated(order: int = 0, processors: int = 1, shared_bytes: int = 228 * 2**10):
    """Inside, kernels run on the CPU, on CPU tensors, as on a GPU of so many multiprocessors with so much memory."""

    def launch(self, name, grid, threads, argument, device):
        found = library(self.source, self.options)
        assert found.size_of_argument() == ctypes.sizeof(argument), "host and device disagree on the argument's fields"
        assert found.launch(name.encode(), ctypes.byref(argument), (ctypes.c_int * 3)(*grid), threads, order) == 0, name

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(driver.Module, "launch", launch)
        patch.setattr(driver, "multiprocessors", lambda device: processors)
        patch.setattr(driver, "shared_bytes", lambda device: shared_bytes)
        patch.setattr(cuda, "unavailable", lambda device, dtype: None)
        patch.setattr(plans, "_plans", {})  # they depend on the number of multiprocessors
        yield


@functools.cache
def library(source: str, options: tuple[str, ...]) -> ctypes.CDLL:
    """A source compiled for emulation, kept where compiled kernels are kept."""
    path = build.HERE / source
    text = "".join(_texts(path))
    kernels = re.findall(r"__global__ void (?:__launch_bounds__\([^)]*\) )?(\w+)\((\w+) ", text)
    (argument,) = {kind for _, kind in kernels}
    flags = ("-O0", "-w", "-std=gnu++17", "-shared", "-fPIC", "-DEMULATED", *options)  # to compile takes longest
    said = repr((text, (HERE / "emulated.h").read_text(), (HERE / "main.cpp").read_text(), flags))
    digest = hashlib.sha256(said.encode()).hexdigest()[:16]
    made = build.cache_folder() / f"emulated-{path.stem}-{digest}.so"
    if not made.exists():
        listed = " ".join(f"KERNEL({name})" for name, _ in kernels)
        command = ["g++", *flags, f'-DSOURCE="{source}"', f"-DKERNELS={listed}", f"-DARGUMENT={argument}"]
        command += [f"-I{HERE}", f"-I{build.HERE}", f"-I{path.parent}", str(HERE / "main.cpp"), "-o"]
        beside = made.with_suffix(f".{os.getpid()}")
        subprocess.run([*command, str(beside)], check=True)
        beside.replace(made)
    return ctypes.CDLL(str(made))


def _texts(path: Path):
    """A source and all that it includes."""
    text = path.read_text()
    yield text
    for name in INCLUDE.findall(text):
        for folder in (path.parent, build.HERE):
            if (folder / name).exists():
                yield from _texts(folder / name)
                break
