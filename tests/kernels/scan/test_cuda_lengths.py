"""The CUDA backend's device code on packed rows, on an emulated block: each sequence is what it is by itself."""

from dataclasses import replace

import pytest
import torch
from emulation import NEEDED, emulated
from packing import apart, bounds, drawn, numbered, together
from scans import Problem, assert_equal

from lib.kernels.scan.cuda import threads

pytestmark = [pytest.mark.slow, NEEDED]

PROBLEM = Problem(length=130, channels=20, states=4)
ROWS = [[5, 31, 32, 33, 64, 96, 97, 128], [1, 100, 129]]
OTHER = Problem(length=70, channels=6, states=13, groups=(2, 0), layout="BDT", without=("initial_state",))
GPUS = {"one segment": {}, "several": {"processors": 400}, "T4": {"processors": 40, "shared_bytes": 64 * 2**10}}


def check(problem: Problem, rows: list[list[int]], own: bool = False, **gpu: int) -> None:
    """On tensors that are NaN before they are written, with states of rows, or of sequences."""
    problem = replace(problem, batch=len(rows))
    inputs = drawn(problem, len(rows[0]) + 1 if own else None)
    lengths = {"cu_seqlens": bounds(rows[0], problem.length)} if own else {"seq_idx": numbered(rows, problem.length)}
    torch.use_deterministic_algorithms(True)
    try:
        with emulated(2, **gpu):
            found = together(inputs, problem.softplus, "cuda", **lengths)
    finally:
        torch.use_deterministic_algorithms(False)
    assert_equal(found, *apart(inputs, problem.softplus, rows, own))


@pytest.mark.parametrize("gpu", GPUS.values(), ids=GPUS.keys())
def test_each_sequence_of_a_row_is_what_it_is_by_itself(gpu):
    check(PROBLEM, ROWS, **gpu)
    check(PROBLEM, ROWS[:1], own=True, **gpu)


@pytest.mark.parametrize("gpu", GPUS.values(), ids=GPUS.keys())
def test_slices_of_time_may_end_at_borders(gpu, monkeypatch):
    monkeypatch.setattr(threads, "MEMORY", 0.0)
    monkeypatch.setattr(threads, "SCRATCH", 1)  # a slice is one unit of 32 tokens
    check(PROBLEM, ROWS, **gpu)
    check(PROBLEM, ROWS[:1], own=True, **gpu)


def test_every_token_may_be_a_sequence():
    every = list(range(1, PROBLEM.length))
    check(PROBLEM, [every, []], processors=400)
    check(PROBLEM, [every], own=True)


def test_so_it_is_where_one_matrix_does_not_vary_and_nothing_starts_the_state():
    check(OTHER, [[3, 40], [69]])
    check(OTHER, [[3, 40]], own=True)


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_what_is_not_finite_stays_in_its_sequence(value):
    """In the step sizes too: a sum of them over a segment, through which nothing passes, is of no account."""
    inputs, rows = PROBLEM.inputs(), [[10, 33, 97], [10, 33]]
    found = []
    for bad in (0.0, value):
        changed = inputs | {name: inputs[name].clone() for name in ("u", "delta")}
        changed["u"][0, :, 15] += bad
        changed["delta"][0, :, 40] += bad
        with emulated(processors=400):
            found.append(together(changed, True, "cuda", seq_idx=numbered(rows, PROBLEM.length)))
    for name in ("out", "grad of u", "grad of delta", "grad of z", "grad of B", "grad of C"):
        for part in (slice(0, 10), slice(97, 130)):
            assert torch.equal(*(one[name][0, ..., part] for one in found))
        assert torch.equal(*(one[name][1] for one in found))
    assert torch.equal(*(one["last"] for one in found))
