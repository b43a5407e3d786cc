"""The emulation of a CUDA block finds what it is for: each fault in `faulty.cu`, and none where there is none."""

import ctypes
import subprocess
import sys

import pytest
import torch
from emulation import HERE, NEEDED, emulated

from lib.kernels.driver import Module
from lib.paths import ROOT

pytestmark = [pytest.mark.slow, NEEDED]


class Sums(ctypes.Structure):
    _fields_ = [("x", ctypes.c_void_p), ("y", ctypes.c_void_p)]


def reversed_by(kernel: str, order: int) -> torch.Tensor:
    x, y = torch.arange(64.0), torch.full((64,), -1.0)
    with emulated(order):
        Module(str(HERE / "faulty.cu"), ("-DELEMENT=0",)).launch(
            kernel, (1, 1, 1), 64, Sums(x.data_ptr(), y.data_ptr()), x.device
        )
    return y


@pytest.mark.parametrize("order", [0, 1, 2, 3])
def test_a_kernel_without_a_fault_is_right_in_every_order(order):
    assert torch.equal(reversed_by("right", order), torch.arange(63.0, -1, -1))


def test_a_missing_barrier_shows_in_some_order():
    wrong = [not torch.equal(reversed_by("no_barrier", order), torch.arange(63.0, -1, -1)) for order in range(4)]
    assert any(wrong)


def test_shared_memory_that_nobody_wrote_is_nan():
    assert reversed_by("not_written", 0).isnan().nonzero().tolist() == [[58]]


def test_a_barrier_that_some_threads_never_reach_ends_the_process():
    code = "import test_emulation as t; t.reversed_by('barrier_for_some', 0)"
    path = f"{ROOT / 'tests/kernels'}:{ROOT / 'tests/helpers'}"
    done = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": f"{path}:{ROOT}", "PATH": "/usr/bin:/bin"}, capture_output=True
    )
    assert done.returncode != 0
    assert b"block (0, 0, 0): some threads wait for the block, others have ended" in done.stderr


def test_an_unknown_kernel_is_named():
    with pytest.raises(AssertionError, match="no_such_kernel"):
        reversed_by("no_such_kernel", 0)
