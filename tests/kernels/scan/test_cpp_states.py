"""The C++ backend at every cut of N states into runs of 16, 8, 4, 2 and 1, with rows in place and in a buffer.

37 channels are whole registers, which are read and written where they lie, and a part of one, which is not; 45 tokens
are a tile and a part of one.
"""

import pytest
import torch
from scans import Problem, assert_equal, definition, run

from lib.kernels.scan import cpp
from lib.models.ssm.scan import selective_scan_fn

MISSING = cpp.unavailable(torch.device("cpu"), torch.float32)
pytestmark = pytest.mark.skipif(MISSING is not None, reason=str(MISSING))

STATES = (1, 2, 3, 4, 5, 8, 9, 16, 17, 64)
LEFT_OUT = ((), ("z",), ("D",), ("delta_bias",), ("z", "D", "delta_bias", "initial_state"))
SIZE = {"batch": 1, "channels": 37, "length": 45}


@pytest.mark.parametrize("without", LEFT_OUT, ids=lambda names: f"without {' '.join(names)}" if names else "all")
@pytest.mark.parametrize("softplus", [True, False], ids=["softplus", "steps"])
@pytest.mark.parametrize("states", STATES)
def test_outputs_and_gradients_are_those_of_the_definition(states, softplus, without):
    problem = Problem(**SIZE, states=states, softplus=softplus, without=without)
    assert_equal(run("cpp", problem.inputs(), softplus), *definition(problem))


@pytest.mark.parametrize("groups", [(0, 1), (1, 0), (0, 0)], ids=["B", "C", "B and C"])
@pytest.mark.parametrize("states", [1, 2, 3, 7])
def test_few_states_may_have_matrices_that_do_not_vary(states, groups):
    problem = Problem(**SIZE, states=states, groups=groups)
    assert_equal(run("cpp", problem.inputs(), True), *definition(problem))


@pytest.mark.parametrize("states", [1, 2, 3, 6])
def test_sequences_of_one_row_do_not_meet_in_any_run(states):
    inputs = Problem(**SIZE, states=states, without=("initial_state",)).inputs()
    numbers = torch.tensor([0] * 13 + [1] * 32, dtype=torch.int32)[None]
    together = selective_scan_fn(**inputs, delta_softplus=True, backend="cpp", seq_idx=numbers)
    for tokens in (slice(0, 13), slice(13, 45)):
        cut = {name: x[..., tokens] if name in ("u", "delta", "z", "B", "C") else x for name, x in inputs.items()}
        alone = selective_scan_fn(**cut, delta_softplus=True, backend="cpp")
        torch.testing.assert_close(together[..., tokens], alone, rtol=0, atol=0)


@pytest.mark.parametrize("states", [4, 16])
def test_where_rows_lie_does_not_change_a_bit(states):
    inputs = Problem(**SIZE | {"channels": 48}, states=states).inputs()
    moved = inputs | {name: inputs[name].contiguous() for name in ("u", "delta", "z", "B", "C")}
    assert moved["u"].stride() != inputs["u"].stride()
    here, there = run("cpp", inputs, True), run("cpp", moved, True)
    assert all(torch.equal(here[name], there[name]) for name in here)


def test_the_definition_differs_where_one_state_is_left_out():
    problem = Problem(**SIZE, states=5)
    fewer = {name: x[:, :4] if name == "A" else x for name, x in problem.inputs().items()}
    fewer |= {name: fewer[name][:, :, :4] for name in ("B", "C", "initial_state")}
    found, (wanted, sizes) = run("cpp", fewer, True), definition(problem)
    with pytest.raises(AssertionError):
        assert_equal({"out": found["out"]}, {"out": wanted["out"]}, {"out": sizes["out"]})
