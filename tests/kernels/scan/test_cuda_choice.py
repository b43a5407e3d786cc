"""Where the CUDA backend serves, and what is said where it does not: each reason in one line, and the scan goes on."""

import warnings

import pytest
import torch
from emulation import NEEDED, emulated

from lib.kernels import driver, nvrtc
from lib.kernels.build import BuildError
from lib.kernels.scan import cuda
from lib.models.ssm.scan import explain_backend

GPU = torch.device("cuda")


@pytest.fixture
def gpu(monkeypatch):
    """A function that pretends there is a GPU of the capability given, on which the kernels run."""

    def pretend(*capability: int) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
        monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: False)
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
        monkeypatch.setattr(nvrtc, "unavailable", lambda: None)
        monkeypatch.setattr(cuda.TRIAL, "faults", {GPU: None})

    driver.unavailable.cache_clear()
    yield pretend
    driver.unavailable.cache_clear()


@pytest.mark.parametrize("capability", [(7, 5), (8, 0), (9, 0), (12, 0)])
def test_a_t4_and_all_after_it_are_served_in_all_but_double_precision(gpu, capability):
    gpu(*capability)
    for dtype in (torch.float32, torch.bfloat16, torch.float16):
        assert explain_backend(GPU, dtype).backend == "cuda"
    assert explain_backend(GPU, torch.float64).backend == "torch"


def test_an_older_gpu_is_refused_with_its_capability(gpu):
    gpu(7, 0)
    choice = explain_backend(GPU)
    assert choice.reasons["cuda"] == "compute capability 7.0: 7.5 or newer is needed"
    assert choice.backend == "torch"


def test_a_gpu_of_another_maker_is_refused(gpu, monkeypatch):
    gpu(9, 0)
    monkeypatch.setattr(torch.version, "hip", "6.2")
    assert explain_backend(GPU).reasons["cuda"] == "runs on NVIDIA's GPUs, not on AMD's"


def test_a_missing_compiler_is_a_reason(gpu, monkeypatch):
    gpu(9, 0)
    monkeypatch.setattr(nvrtc, "unavailable", lambda: "NVRTC is not found")
    choice = explain_backend(GPU)
    assert (choice.backend, choice.reasons["cuda"]) == ("torch", "NVRTC is not found")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (BuildError("forward.cu: the driver does not load it: error 222, the provided PTX"), "error 222"),
        (RuntimeError("kernel outputs did not start: error 2, out of memory\nmore"), "error 2, out of memory"),
        (PermissionError(13, "Permission denied", "cache"), "Permission denied"),
    ],
)
def test_kernels_that_do_not_run_are_a_reason_said_once(gpu, monkeypatch, error, said):
    def broken(*_):
        raise error

    gpu(9, 0)
    monkeypatch.setattr(driver.Module, "launch", broken)
    monkeypatch.setattr(cuda.TRIAL, "faults", {})
    monkeypatch.setattr(cuda.TRIAL, "run", lambda device: cuda._one_token(torch.device("cpu")))
    with pytest.warns(UserWarning, match="the scan runs in torch, which is many times slower: its kernels do not run"):
        reason = explain_backend(GPU).reasons["cuda"]
    assert said in reason
    assert "\n" not in reason
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert explain_backend(GPU).backend == "torch"


@NEEDED
@pytest.mark.slow
def test_kernels_that_run_have_no_fault():
    with emulated():
        assert cuda.TRIAL.tried(torch.device("cpu")) is None


def test_kernels_that_compute_something_else_are_found(monkeypatch):
    monkeypatch.setattr(cuda, "forward", lambda *inputs: (torch.full((1, 1, 1), 2.0), None, None))
    assert cuda.TRIAL.tried(torch.device("cpu")) == "its kernels compute 2.0 on cpu, not 1.0000"


def test_while_a_graph_is_captured_nothing_is_tried(gpu, monkeypatch):
    gpu(9, 0)
    monkeypatch.setattr(cuda.TRIAL, "faults", {})
    monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: True)
    assert explain_backend(GPU).backend == "cuda"
    assert cuda.TRIAL.faults == {}


def test_a_lack_of_memory_is_no_fault_and_is_not_kept(gpu, monkeypatch):
    def full(*_):
        raise torch.OutOfMemoryError("CUDA out of memory")

    gpu(9, 0)
    monkeypatch.setattr(cuda.TRIAL, "faults", {})
    monkeypatch.setattr(cuda.TRIAL, "run", full)
    with pytest.raises(torch.OutOfMemoryError):
        explain_backend(GPU)
    assert cuda.TRIAL.faults == {}
