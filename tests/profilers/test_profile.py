import weakref

import pytest
import torch
from simulated_gpu import SimulatedGpu

from lib.profilers import clocks
from lib.profilers.profile import Profile, profile


def fail():
    raise RuntimeError("first line\nsecond line")


def test_a_profile_holds_seconds_bytes_and_operations():
    a, b = torch.rand(8, 8), torch.rand(8, 8)
    result = profile({"product": lambda: a @ b}, runs=3, warmup=0, progress=False)["product"]
    assert len(result.seconds) == 3
    assert result.peak_bytes == 8 * 8 * 4
    assert result.flops == 2 * 8**3
    assert result.error is None


def test_a_failing_case_is_a_result_and_the_others_go_on():
    results = profile({"bad": fail, "good": lambda: torch.zeros(1)}, runs=2, warmup=0, progress=False)
    assert results["bad"].error == "RuntimeError: first line"
    assert results["bad"].seconds == []
    assert len(results["good"].seconds) == 2


def test_memory_that_runs_out_has_one_name():
    result = profile({"huge": lambda: torch.empty(10**15)}, runs=1, progress=False)["huge"]
    assert result.error.startswith("out of memory: ")


def test_a_case_known_not_to_fit_is_not_tried():
    tried = []
    result = profile({"huge": lambda: tried.append(1)}, runs=1, needs={"huge": 10**15}, progress=False)["huge"]
    assert result.error.startswith("out of memory: needs 1,000,000,000,000,000 bytes")
    assert not tried


def test_a_case_that_fails_while_it_is_timed_is_a_result_and_the_others_go_on():
    left = iter([0, 0, 0, 0])  # calls by which bytes and operations are counted, and two rounds
    results = profile({"bad": lambda: next(left), "good": lambda: None}, runs=4, warmup=0, progress=False)
    assert results["bad"] == Profile(error="StopIteration: ")
    assert len(results["good"].seconds) == 4


def test_what_a_case_that_fails_held_is_free_for_the_next():
    held = []

    def large():
        block = torch.zeros(8)
        held.append(weakref.ref(block))
        try:
            raise MemoryError("much")
        except MemoryError as error:
            block.kept = error  # a circle: error, frame, block
            raise

    def next_one():
        assert held[-1]() is None
        return torch.zeros(1)

    results = profile({"large": large, "next": next_one}, runs=1, warmup=0, progress=False)
    assert results["large"].error == "out of memory: much"
    assert results["next"].error is None


def test_on_a_gpu_a_profile_says_by_which_clock_and_what_the_host_took(monkeypatch):
    gpu = SimulatedGpu().install(monkeypatch)
    for name, stand_in in {"peak_bytes": 3, "flops": 4, "available_bytes": 5}.items():
        monkeypatch.setattr(f"lib.profilers.profile.{name}", lambda *_, value=stand_in, **__: value)
    calls = {"fine": lambda: (gpu.work(1e-3), gpu.kernel(1e-4)), "large": fail}
    results = profile(calls, runs=3, device="cuda", needs={"fine": 5, "large": 6}, progress=False)
    fine = results["fine"]
    assert (fine.clock, fine.peak_bytes, fine.flops) == (clocks.EVENTS, 3, 4)
    assert fine.seconds == pytest.approx([1e-4] * 3, rel=0.05)
    assert fine.host_seconds == pytest.approx([1e-3] * 3, rel=0.05)
    assert results["large"] == Profile(error="out of memory: needs 6 bytes on cuda, 5 are free")
