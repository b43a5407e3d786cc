"""Peaks and limits of a real GPU's memory; `tests/profilers/test_memory.py` asks the same of a simulated allocator."""

import subprocess
import sys
import textwrap

import pytest
import torch

from lib.paths import ROOT
from lib.profilers import clocks
from lib.profilers.memory import available_bytes, peak_bytes
from lib.profilers.profile import profile

MIB = 2**20


def block(size: float) -> torch.Tensor:
    return torch.empty(int(size), dtype=torch.uint8, device="cuda")


def test_the_result_counts_and_the_input_does_not():
    x = block(4 * MIB)
    assert peak_bytes(lambda: x + 1, device="cuda") == 4 * MIB


def test_what_dies_early_is_not_added_to_what_comes_later():
    x = block(4 * MIB)
    assert peak_bytes(lambda: ((x + 1) * 2) * 3, device="cuda") == 8 * MIB


def test_the_first_product_of_a_process_pays_for_no_workspace():
    code = """
        import torch
        from lib.profilers.memory import peak_bytes

        x = torch.randn(512, 512, device="cuda")
        print(*(peak_bytes(lambda: x @ x, device="cuda") for _ in range(2)))
    """
    command = [sys.executable, "-c", textwrap.dedent(code)]
    first, second = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    assert first == second


def test_memory_in_the_allocators_cache_is_free():
    torch.cuda.empty_cache()
    before, seen = available_bytes("cuda"), torch.cuda.mem_get_info()[0]
    held = block(256 * MIB)
    assert available_bytes("cuda") <= before - 240 * MIB
    del held
    assert torch.cuda.mem_get_info()[0] <= seen - 240 * MIB
    assert available_bytes("cuda") == pytest.approx(before, abs=16 * MIB)  # others may use the device, too


def test_a_case_that_does_not_fit_is_a_row_and_leaves_its_memory_to_the_next():
    free = available_bytes("cuda")

    def large():
        first = block(0.6 * free)
        return first, block(0.6 * free)

    calls = {"large": large, "half": lambda: block(0.5 * free), "small": lambda: block(MIB)}
    found = profile(calls, runs=3, warmup=1, device="cuda", progress=False)
    assert found["large"].error.startswith("out of memory: ")
    assert "\n" not in found["large"].error
    assert found["half"].peak_bytes == pytest.approx(0.5 * free, rel=0.01)
    assert [found[name].error for name in ("half", "small")] == [None, None]
    assert {found[name].clock for name in ("half", "small")} <= {clocks.EVENTS, clocks.WAITED}
    assert available_bytes("cuda") == pytest.approx(free, abs=64 * MIB)


def test_a_case_known_not_to_fit_is_not_tried():
    tried = []
    found = profile({"large": lambda: tried.append(1)}, needs={"large": 10**15}, runs=1, device="cuda", progress=False)
    assert found["large"].error.startswith("out of memory: needs 1,000,000,000,000,000 bytes on cuda")
    assert not tried
