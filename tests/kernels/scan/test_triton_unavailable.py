"""Why triton's kernels cannot serve: the device, its capability, the precision, or that they do not run."""

import importlib.util
import sys

import pytest
import torch

from lib.kernels.scan import triton as fused
from lib.models.ssm.scan import explain_backend


@pytest.fixture
def gpu(monkeypatch):
    """A function that pretends there is a GPU of the capability given, on which the kernels run."""

    def pretend(*capability: int) -> None:
        monkeypatch.setattr(fused, "_spec", lambda name: object())
        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
        monkeypatch.setattr(fused, "_fault", lambda device: None)

    return pretend


def test_a_gpu_of_capability_8_is_served_in_all_but_double_precision(gpu):
    gpu(8, 0)
    for dtype in (torch.float32, torch.bfloat16, torch.float16):
        assert fused.unavailable(torch.device("cuda"), dtype) is None
    assert fused.unavailable(torch.device("cuda"), torch.float64) == "float64 is for torch and ref"


def test_an_older_gpu_is_refused_with_its_capability(gpu):
    gpu(7, 5)
    reason = fused.unavailable(torch.device("cuda"), torch.float32)
    assert reason == "compute capability 7.5: triton's releases serve 8.0 and newer; a T4 takes torch"


def test_kernels_that_do_not_run_are_a_reason_not_a_crash(gpu, monkeypatch):
    def broken(*inputs):
        raise RuntimeError("Failed to find C compiler")

    monkeypatch.setattr(fused, "_plan", broken)
    fault = fused._fault.__wrapped__(torch.device("cpu"))
    assert fault == "its kernels do not run on cpu: Failed to find C compiler"
    gpu(9, 0)
    monkeypatch.setattr(fused, "_fault", lambda device: fault)
    assert fused.unavailable(torch.device("cuda"), torch.float32) == fault


@pytest.mark.slow
def test_kernels_that_run_have_no_fault(interpreter):
    assert interpreter.submit(fused._fault, torch.device("cpu")).result() is None


def test_a_cpu_is_refused_outside_the_interpreter(gpu, monkeypatch):
    gpu(8, 0)
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    assert fused.unavailable(torch.device("cpu"), torch.float32) is None
    monkeypatch.delenv("TRITON_INTERPRET")
    assert fused.unavailable(torch.device("cpu"), torch.float32) == "triton's kernels run on CUDA devices, not on cpu"
    with pytest.raises(RuntimeError, match="not on cpu"):
        explain_backend("cpu", backend="triton")


def test_a_missing_gpu_is_a_reason(gpu, monkeypatch):
    gpu(8, 0)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert fused.unavailable(torch.device("cuda"), torch.float32) == "no CUDA device is available"


def test_the_module_loads_without_triton_and_says_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "triton", None)  # its import fails
    spec = importlib.util.spec_from_file_location("fused_alone", fused.__file__)
    alone = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(alone)
    assert alone.unavailable(torch.device("cuda"), torch.float32) == "triton is not installed"
