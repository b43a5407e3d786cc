"""Several sequences in one row: each is what it is by itself, in every backend, forward and backward."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from packing import BORDERS, LENGTH, apart, bounds, drawn, numbered, together
from scans import FAST, Problem, assert_equal
from torch.testing import assert_close

from lib.models.ssm.lengths import seq_idx_of_lengths, seq_idx_of_positions
from lib.models.ssm.scan import selective_scan_fn, selective_scan_ref

PROBLEM = Problem(length=LENGTH, channels=5, states=6)
OTHERS = [
    Problem(length=LENGTH, channels=20, states=13, groups=(2, 0), layout="BDT"),
    Problem(length=LENGTH, channels=33, states=1, without=("z", "D", "delta_bias", "initial_state"), softplus=False),
    Problem(length=LENGTH, channels=4, states=17, groups=(0, 0), layout="slices"),
]


def in_rows(problem: Problem, backend: str, borders: list[list[int]]) -> None:
    inputs = drawn(problem)
    found = together(inputs, problem.softplus, backend, seq_idx=numbered(borders, problem.length))
    assert_equal(found, *apart(inputs, problem.softplus, borders))


def of_their_own(problem: Problem, backend: str, inner: list[int]) -> None:
    problem = replace(problem, batch=1)
    inputs = drawn(problem, len(inner) + 1)
    found = together(inputs, problem.softplus, backend, cu_seqlens=bounds(inner, problem.length))
    assert_equal(found, *apart(inputs, problem.softplus, [inner], own=True))


@pytest.mark.parametrize("backend", [*FAST, "ref"])
@pytest.mark.parametrize("name", BORDERS)
def test_each_sequence_of_a_row_is_what_it_is_by_itself(name, backend):
    in_rows(PROBLEM, backend, [BORDERS[name], BORDERS["some"]])


@pytest.mark.parametrize("backend", [*FAST, "ref"])
@pytest.mark.parametrize("name", BORDERS)
def test_each_sequence_has_states_of_its_own_by_its_bounds(name, backend):
    of_their_own(PROBLEM, backend, BORDERS[name])


@pytest.mark.parametrize("backend", FAST)
@pytest.mark.parametrize("problem", OTHERS, ids=str)
def test_so_it_is_in_every_form_of_the_inputs(problem, backend):
    in_rows(problem, backend, [BORDERS["some"], BORDERS["beside checkpoints"]])
    of_their_own(problem, backend, BORDERS["some"])


@settings(max_examples=15, deadline=None)
@given(rows=st.lists(st.sets(st.integers(1, 69)), min_size=2, max_size=2), backend=st.sampled_from(["auto", "torch"]))
def test_borders_may_be_anywhere(rows, backend):
    rows = [sorted(row) for row in rows]
    problem = Problem(length=70, channels=3, states=2)
    in_rows(problem, backend, rows)
    of_their_own(problem, backend, rows[0])


@pytest.mark.parametrize("backend", FAST)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_keeps_its_state_in_single(backend, dtype):
    inputs = Problem(length=40).inputs(dtype)
    rows = [[7, 32], [1, 39]]
    found = together(inputs, True, backend, seq_idx=numbered(rows, 40))
    wanted, sizes = apart(inputs, True, rows)
    assert (found["out"].dtype, found["last"].dtype) == (dtype, torch.float32)
    assert_equal(found, wanted, sizes, allowed=2 * torch.finfo(dtype).eps)


@pytest.mark.parametrize("backend", [*FAST, "ref"])
@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_what_is_not_finite_stays_in_its_sequence(backend, value):
    """Also in the gradients of the other sequences: zero times infinity would be not a number."""
    problem = Problem(length=40, without=("initial_state",))
    inputs, rows = problem.inputs(), [[10, 33], [10, 33]]
    clean = together(inputs, True, backend, seq_idx=numbered(rows, 40))
    inputs["u"] = inputs["u"].clone()
    inputs["u"][0, :, 15] = value
    found = together(inputs, True, backend, seq_idx=numbered(rows, 40))
    assert not found["out"][0, :, 15:33].isfinite().all()
    for name in ("out", "grad of u", "grad of delta", "grad of z", "grad of B", "grad of C"):
        for part in (slice(0, 10), slice(33, 40)):
            assert_close(found[name][0, ..., part], clean[name][0, ..., part])
        assert_close(found[name][1], clean[name][1])
    assert_close(found["last"], clean["last"])


@pytest.mark.parametrize("backend", [*FAST, "ref"])
def test_a_sequence_without_tokens_ends_with_the_state_it_starts_with(backend):
    inputs = drawn(Problem(batch=1, length=9), 5)
    leaf = inputs["initial_state"].requires_grad_()
    cu_seqlens = torch.tensor([0, 0, 4, 4, 9, 9])
    options = {"delta_softplus": True, "return_last_state": True}
    out, last = selective_scan_fn(**inputs, **options, backend=backend, cu_seqlens=cu_seqlens)
    assert torch.equal(last[[0, 2, 4]], leaf[[0, 2, 4]])
    (grad,) = torch.autograd.grad(last.sum(), leaf, retain_graph=True)
    assert torch.equal(grad[[0, 2, 4]], torch.ones_like(grad[[0, 2, 4]]))
    kept = dict(inputs, initial_state=leaf[[1, 3]])
    other, own = selective_scan_ref(**kept, **options, cu_seqlens=torch.tensor([0, 4, 9]))
    assert_close((out, last[[1, 3]]), (other, own))


def test_one_number_for_all_changes_no_bit():
    inputs = Problem(length=70).inputs()
    same = together(inputs, True, "auto", seq_idx=torch.full((2, 70), 3))
    plain = together(inputs, True, "auto")
    assert all(torch.equal(same[name], plain[name]) for name in plain)


def test_numbers_come_from_bounds_and_from_positions():
    wanted = torch.tensor([[0, 0, 0, 1, 2, 2]], dtype=torch.int32)
    found = seq_idx_of_lengths(torch.tensor([0, 3, 4, 6]), 6)
    assert torch.equal(found, wanted)
    assert found.dtype == torch.int32
    assert torch.equal(seq_idx_of_positions(torch.tensor([[0, 1, 2, 0, 0, 1]])), wanted)
    assert seq_idx_of_lengths(torch.tensor([0, 0, 2, 2, 3, 3]), 3).tolist() == [[1, 1, 3]]
    assert seq_idx_of_lengths(torch.tensor([0, 5]), 5).tolist() == [[0] * 5]


def test_wide_numbers_have_the_same_borders():
    inputs = Problem(length=6).inputs()
    wide = torch.tensor([[0, 0, 2**32, 2**32, 2**33, 2**33]] * 2)
    narrow = torch.tensor([[0, 0, 1, 1, 2, 2]] * 2, dtype=torch.int32)
    found = (selective_scan_fn(**inputs, seq_idx=numbers) for numbers in (wide, narrow))
    assert torch.equal(*found)
