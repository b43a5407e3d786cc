"""The CUDA backend's device code, on an emulated block, against the recurrence in float64."""

from dataclasses import replace

import pytest
import torch
from emulation import NEEDED, emulated
from precision import UNIT
from scan_magnitudes import magnitudes
from scans import OPTIONAL, ROUNDINGS, Problem, assert_equal, definition, error, pulls, run

from lib.kernels.scan import cuda
from lib.kernels.scan.cuda import threads
from lib.models.ssm.scan import selective_scan_fn, selective_scan_ref

pytestmark = [pytest.mark.slow, NEEDED]

WIDE = Problem(batch=1, channels=40, length=70, states=16)  # blocks and tiles that are partly filled
CASES = [
    *(Problem(length=length) for length in (1, 2, 17, 129)),
    WIDE,
    *(Problem(channels=channels, states=states) for channels, states in ((1, 1), (3, 4), (33, 13))),
    *(Problem(batch=1, channels=6, states=states, length=20) for states in (32, 64, 100, 256)),
    *(Problem(without=(name,)) for name in OPTIONAL),
    Problem(without=OPTIONAL, softplus=False),
    *(Problem(groups=groups, channels=24) for groups in ((2, 2), (6, 2), (24, 24))),
    *(Problem(groups=groups, states=13, channels=20) for groups in ((0, 1), (1, 0), (0, 0), (2, 0))),
    *(Problem(layout=layout, channels=20) for layout in ("BDT", "slices", "expanded")),
    Problem(layout="BDT", length=64, crossed=True),
    Problem(step=4.0, length=100),
]


def found_by(problem: Problem, order: int = 0, dtype: torch.dtype = torch.float32, **gpu: int) -> dict:
    """What `run` finds, on tensors that are NaN before they are written."""
    torch.use_deterministic_algorithms(True)  # fills what torch.empty returns
    try:
        with emulated(order, **gpu):
            return run("cuda", problem.inputs(dtype), problem.softplus)
    finally:
        torch.use_deterministic_algorithms(False)


@pytest.mark.parametrize("problem", CASES, ids=str)
def test_the_kernels_equal_the_definition(problem):
    assert_equal(found_by(problem), *definition(problem))


@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize("problem", [WIDE, Problem(groups=(2, 0), states=13, channels=20)], ids=str)
def test_results_do_not_depend_on_the_order_of_threads(problem, order):
    first, other = found_by(problem), found_by(problem, order)
    assert all(torch.equal(first[name], other[name]) for name in first)


@pytest.mark.parametrize("problem", [replace(WIDE, length=200), Problem(length=130, groups=(0, 1))], ids=str)
def test_time_split_into_segments_gives_the_same(problem):
    with emulated(processors=400):
        assert threads.segments(4, 200, 400, 4, False)[1] > 1
    assert_equal(found_by(problem, order=2, processors=400), *definition(problem))


T4 = {"processors": 40, "shared_bytes": 64 * 2**10}


@pytest.mark.parametrize("problem", [WIDE, replace(WIDE, length=300), Problem(groups=(0, 1), states=13)], ids=str)
def test_a_gpu_of_less_shared_memory_gives_the_same(problem):
    assert_equal(found_by(problem, **T4), *definition(problem))


@pytest.mark.parametrize("problem", [replace(WIDE, batch=6, length=35)], ids=str)
def test_blocks_that_are_plenty_give_the_same(problem):
    assert threads.threads(16, 12, 1, 0, backward=False).lanes == 2
    assert_equal(found_by(problem), *definition(problem))


@pytest.mark.parametrize("gpu", [{}, {"processors": 400}, T4], ids=["one segment", "several", "T4"])
def test_backward_in_slices_of_time_gives_the_same(gpu, monkeypatch):
    monkeypatch.setattr(threads, "MEMORY", 0.0)
    monkeypatch.setattr(threads, "SCRATCH", 1)  # as little as can be: a slice is one unit of 32 tokens
    problem = Problem(length=170, states=4)
    assert_equal(found_by(problem, **gpu), *definition(problem))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("layout", ["BTD", "BDT", "slices"])
def test_half_precision_inputs_keep_their_state_in_float32(dtype, layout):
    problem = Problem(length=65, layout=layout)
    inputs = problem.inputs(dtype)
    found = found_by(problem, dtype=dtype)
    exact = {name: x.double() for name, x in inputs.items()}
    wanted = run("ref", exact, True)
    sizes = magnitudes(exact, True, pulls(wanted["out"], wanted["last"]))
    assert (found["out"].dtype, found["last"].dtype) == (dtype, torch.float32)
    assert error(found["last"], wanted["last"], sizes["last"]) < ROUNDINGS * UNIT
    assert_equal(found, wanted, allowed=2 * torch.finfo(dtype).eps)


def test_mixed_precision_loses_nothing():
    inputs = Problem().inputs()
    mixed = inputs | {name: inputs[name].bfloat16() for name in ("u", "B")}
    with emulated():
        out, last = selective_scan_fn(**mixed, delta_softplus=True, return_last_state=True, backend="cuda")
    exact = {name: x.double() for name, x in mixed.items()}
    wanted, state = selective_scan_ref(**exact, delta_softplus=True, return_last_state=True)
    size = magnitudes(exact, True, pulls(wanted, state))
    assert out.dtype == torch.bfloat16
    assert error(last, state, size["last"]) < ROUNDINGS * UNIT


def test_neighbours_of_inputs_are_neither_read_nor_written():
    """Views into larger tensors of NaN: nothing but the views counts, and all around stays NaN."""
    problem = Problem(channels=20, length=37)
    inputs, roomy = problem.inputs(), {}
    for name in ("u", "delta", "z"):
        around = torch.full((problem.batch, problem.length + 64, problem.channels + 64), torch.nan)
        around[:, 32:-32, 32:-32] = inputs[name].mT
        roomy[name] = around[:, 32:-32, 32:-32].mT
    with emulated():
        found = run("cuda", inputs | roomy, True)
    assert_equal(found, *definition(problem))
    assert all(x._base.isnan().sum() == x._base.numel() - x.numel() for x in roomy.values())


def test_more_states_than_are_served_go_to_torch_aloud():
    problem = Problem(states=cuda.MOST_STATES + 1, channels=2, length=5)
    cuda._say.cache_clear()
    with pytest.warns(UserWarning, match=r"N = 257.* serves N up to 256 .*the scan runs in torch"):
        found = found_by(problem)
    assert_equal(found, *definition(problem))
