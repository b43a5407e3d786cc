"""The CUDA kernels as NVRTC compiles them, for every generation of GPUs that they serve: registers, spills, memory."""

import ctypes
import re
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest
import torch
from compiled import CAPABILITIES, NEEDED, REGISTERS, SHARED_BYTES, resources
from emulation import emulated
from packing import together
from scans import Problem, run

from lib.kernels import nvrtc
from lib.kernels.driver import Module
from lib.kernels.scan.cuda import plans

pytestmark = [pytest.mark.slow, NEEDED]

THREADS = 128
KIB_OF = {75: 64, 80: 164, 89: 100, 90: 228, 100: 228, 120: 100}  # shared memory of a multiprocessor
KERNELS = {"outputs", "segment_ends", "tile_states", "segment_starts", "gradients", "totals"}
PLENTY, SOME, FEW = 1, 4, 132  # multiprocessors, of which 12 blocks make plenty, some or few


def _kind(path: str) -> str:
    return Path(path).name


def modules(dtype: torch.dtype, states: int, capability: int, processors: int, packed: bool = False) -> list[Module]:
    """What a training step in a Mamba block compiles, at N states; for several sequences a row where packed."""
    problem = Problem(batch=12, channels=32, length=4, states=states, without=("initial_state",))
    with emulated(0, processors, KIB_OF[capability] * 1024), pytest.MonkeyPatch.context() as patch:
        patch.setattr(Module, "launch", lambda *_: None)
        if packed:
            together(problem.inputs(dtype), True, "cuda", seq_idx=torch.zeros(12, 4, dtype=torch.int32))
        else:
            run("cuda", problem.inputs(dtype), True)
        return [one.module for one in plans._plans.values()]


def kernels(
    capability: int, states: int, dtype: torch.dtype, processors: int, packed: bool
) -> Iterator[tuple[str, tuple[int, int, int]]]:
    for module in modules(dtype, states, capability, processors, packed):
        yield from resources(module.source, [f"--gpu-architecture=sm_{capability}", *module.options]).items()


@pytest.mark.parametrize(
    ("capability", "states", "dtype", "processors", "packed"),
    [
        *product(CAPABILITIES, [16], [torch.float32], [SOME], [False]),
        *product((75, 90), [16], [torch.bfloat16], [PLENTY], [False]),
        (90, 16, torch.float32, FEW, False),
        (75, 256, torch.float16, SOME, False),
        *product((75, 90), [1, 2], [torch.float32], [SOME], [False]),
        (90, 64, torch.float32, SOME, False),
        (90, 16, torch.float32, SOME, True),
    ],
)
def test_kernels_fit_every_gpu_and_spill_little_and_nothing_forward(capability, states, dtype, processors, packed):
    found = dict(kernels(capability, states, dtype, processors, packed))
    assert found.keys() == KERNELS
    for name, (registers, spilled, shared) in found.items():
        assert shared <= SHARED_BYTES, name
        assert registers * THREADS * 2 <= REGISTERS, name
        assert spilled <= (512 if name == "gradients" else 0), name


@pytest.mark.parametrize("path", [path for path in nvrtc._candidates() if Path(path).is_absolute()], ids=_kind)
@pytest.mark.parametrize("source", ["scan/cuda/forward.cu", "scan/cuda/backward.cu"])
def test_every_nvrtc_that_is_there_compiles_them(path, source, monkeypatch):
    """CUDA 12's takes less than CUDA 13's; torch comes with either."""
    (module,) = (one for one in modules(torch.float32, 16, 75, SOME) if one.source == source)
    found = ctypes.CDLL(path)
    monkeypatch.setattr(nvrtc, "library", lambda: found)
    assert set(resources(source, ["--gpu-architecture=sm_75", *module.options])) <= KERNELS


def test_the_log_shows_what_a_kernel_spills():
    text = """extern "C" __global__ void __launch_bounds__(1024, 2) full(float *x) {
      float v[128];
      for (int i = 0; i < 128; i++) v[i] = x[i * 1024 + threadIdx.x];
      for (int k = 0; k < 100; k++)
        for (int i = 0; i < 128; i++) v[i] = v[i] * v[(i + 1) % 128] + v[(i + 7) % 128];
      for (int i = 0; i < 128; i++) x[i * 1024 + threadIdx.x] = v[i];
    }"""
    _, log = nvrtc.build_with_log({"full.cu": text}, "full.cu", ["--gpu-architecture=sm_90", "--ptxas-options=-v"])
    assert int(re.search(r"(\d+) bytes spill stores", log)[1]) > 0
