import gc
import weakref

import pytest
import torch

from lib.profilers import failures
from lib.profilers.failures import attempt, describe


def test_what_succeeds_gives_its_result():
    assert attempt(lambda: 3, "cpu") == (3, None)


def test_what_fails_gives_its_error_in_one_line():
    def fail():
        raise RuntimeError("first line\nsecond line")

    assert attempt(fail, "cpu") == (None, "RuntimeError: first line")


def test_an_end_of_the_program_is_no_failure():
    def stop():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        attempt(stop, "cpu")


def test_tensors_of_the_frames_that_an_error_came_through_are_freed():
    held = []

    def inner(block):
        circle = [block]
        circle.append(circle)  # only the collector of cycles frees it
        raise RuntimeError("no")

    def outer():
        block = torch.zeros(8)
        held.append(weakref.ref(block))
        inner(block)

    gc.disable()
    try:
        attempt(outer, "cpu")
        assert held[0]() is None
    finally:
        gc.enable()


def test_a_gpu_gets_its_cached_blocks_back_after_a_failure_even_where_it_is_broken(monkeypatch):
    asked = []

    def broken():
        asked.append(1)
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    monkeypatch.setattr(torch.cuda, "empty_cache", broken)
    assert attempt(lambda: 1 / 0, "cuda") == (None, "ZeroDivisionError: division by zero")
    assert asked == [1]
    attempt(lambda: 1 / 0, "cpu")
    attempt(lambda: 1, "cuda")
    assert asked == [1]


@pytest.mark.parametrize(
    "error",
    [
        MemoryError("much"),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB."),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 4 bytes"),
        RuntimeError("CUDA error: out of memory\nCompile with ..."),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("cuFFT error: CUFFT_ALLOC_FAILED"),
    ],
    ids=lambda error: str(error)[:24],
)
def test_memory_that_runs_out_has_one_name(error):
    assert describe(error).startswith("out of memory: ")
    assert "\n" not in describe(error)


def test_another_error_has_its_type_even_without_a_message():
    assert describe(ValueError()) == "ValueError: "
    assert failures.describe(KeyError("memory")).startswith("KeyError: ")
