"""Triton's kernels compile for GPUs that are not there."""

from unittest.mock import patch

import pytest
import torch
from scans import OPTIONAL, Problem

from lib.kernels.scan import triton as fused
from lib.models.ssm.scan import selective_scan_fn

pytestmark = pytest.mark.slow

PROBLEMS = [
    (Problem(length=64, channels=32, states=16, layout="BDT"), torch.float32),
    (Problem(length=1, channels=3, states=1, layout="BDT", without=OPTIONAL, softplus=False), torch.float32),
    (Problem(length=5, channels=3, states=4, layout="BDT", groups=(0, 1)), torch.bfloat16),
]


class Driver:
    """Stands for the driver of one GPU."""

    def __init__(self, target):
        self.target = target

    def get_current_target(self):
        return self.target

    def get_current_device(self):
        return 0

    def get_current_stream(self, device):
        return 0


class Compiler:
    """Stands for a kernel: a launch compiles it and adds what comes out to binaries."""

    def __init__(self, kernel, binaries: list[bytes]):
        self.kernel, self.binaries = kernel, binaries

    def __getitem__(self, grid):
        def launch(*args, **options):
            self.binaries.append(self.kernel.warmup(*args, grid=grid, **options).asm["cubin"])

        return launch


def compile_for(capability: int) -> int:
    """How many kernels come out when every launch of these problems is compiled instead."""
    from triton.backends.compiler import GPUTarget
    from triton.runtime.driver import driver

    binaries: list[bytes] = []
    kernels = fused._kernels()
    driver.set_active(Driver(GPUTarget("cuda", capability, 32)))
    with (
        patch.object(kernels, "forward_kernel", Compiler(kernels.forward_kernel, binaries)),
        patch.object(kernels, "backward_kernel", Compiler(kernels.backward_kernel, binaries)),
        patch.object(fused, "unavailable", lambda device, dtype: None),
    ):
        for problem, dtype in PROBLEMS:
            given = {name: x.requires_grad_() for name, x in problem.inputs(dtype, mixed=True).items()}
            options = {"delta_softplus": problem.softplus, "return_last_state": True, "backend": "triton"}
            ends = selective_scan_fn(**given, **options)
            torch.autograd.grad(ends, list(given.values()), ends)
    return sum(binary.startswith(b"\x7fELF") for binary in binaries)


def test_the_kernels_compile_for_gpus_of_every_generation_they_serve(worker, tmp_path):
    with worker(TRITON_INTERPRET="0", TRITON_CACHE_DIR=str(tmp_path)) as pool:
        assert [pool.submit(compile_for, capability).result() for capability in (80, 90)] == [6, 6]
