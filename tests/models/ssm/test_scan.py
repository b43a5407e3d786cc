"""Every backend against the definition in float64, up to the rounding of what it adds.

The CUDA backend has a grid of its own, smaller, in tests/kernels/scan/test_cuda.py: its emulation is slow.
"""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from precision import UNIT
from scan_magnitudes import magnitudes
from scans import (
    FAST,
    LAYOUTS,
    MISSING,
    OPTIONAL,
    ROUNDINGS,
    Problem,
    assert_equal,
    definition,
    error,
    pulls,
    run,
)

from lib.models.ssm.scan import selective_scan_fn, selective_scan_ref

LENGTHS = [Problem(length=length, states=4) for length in (1, 2, 17, 128, 256, 512)]
LONG = [pytest.param(Problem(length=length, states=4), marks=pytest.mark.slow) for length in (1024, 2048, 4096)]
SIZES = [Problem(channels=channels, states=states) for channels in (1, 3, 16, 257) for states in (1, 8, 16, 64)]
OPTIONS = [
    *(Problem(without=(name,)) for name in OPTIONAL),
    Problem(without=OPTIONAL),
    *(Problem(softplus=False, without=without) for without in ((), ("delta_bias",))),
    *(Problem(groups=groups, states=13) for groups in ((0, 1), (1, 0), (0, 0))),
    *(Problem(groups=(groups, c), channels=48) for groups in (2, 6, 48) for c in (groups, 0)),
    *(Problem(layout=layout, crossed=crossed, channels=20) for layout in LAYOUTS for crossed in (False, True)),
    Problem(batch=1, channels=600, length=33),  # many blocks, several partial sums
    Problem(step=4.0, length=100),  # steps far above one
]


@pytest.mark.parametrize("backend", FAST)
@pytest.mark.parametrize("problem", [*LENGTHS, *LONG, *SIZES, *OPTIONS], ids=str)
def test_a_backend_equals_the_definition(problem, backend):
    assert_equal(run(backend, problem.inputs(), problem.softplus), *definition(problem))


def test_the_torch_backend_is_exact_in_float64():
    problem = Problem(length=70)
    inputs = {name: x.double() for name, x in problem.inputs().items()}
    assert_equal(run("torch", inputs, True), *definition(problem), allowed=ROUNDINGS * torch.finfo(torch.float64).eps)


@pytest.mark.parametrize("backend", FAST)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_inputs_keep_their_state_in_float32(backend, dtype):
    problem = Problem(length=65)
    inputs = problem.inputs(dtype)
    found = run(backend, inputs, True)
    exact = {name: x.double() for name, x in inputs.items()}
    wanted = run("ref", exact, True)
    sizes = magnitudes(exact, True, pulls(wanted["out"], wanted["last"]))
    assert found["out"].dtype == dtype
    assert found["last"].dtype == torch.float32
    assert error(found["last"], wanted["last"], sizes["last"]) < ROUNDINGS * UNIT
    assert all(found[f"grad of {name}"].dtype == x.dtype for name, x in inputs.items())
    assert_equal(found, wanted, allowed=2 * torch.finfo(dtype).eps)


def test_mixed_precision_as_under_autocast_is_accepted():
    inputs = Problem().inputs()
    mixed = inputs | {name: inputs[name].bfloat16() for name in ("delta", "B", "C")}
    exact = {name: x.double() for name, x in mixed.items()}
    out = selective_scan_fn(**mixed, delta_softplus=True)
    assert out.dtype == torch.float32
    wanted, last = selective_scan_ref(**exact, delta_softplus=True, return_last_state=True)
    size = magnitudes(exact, True, pulls(wanted, last))["out"]
    assert error(out, wanted, size) < ROUNDINGS * UNIT


@settings(max_examples=60, deadline=None)
@given(
    st.builds(
        Problem,
        batch=st.integers(1, 3),
        channels=st.integers(1, 40).map(lambda half: 2 * half),
        length=st.integers(1, 100),
        states=st.integers(1, 20),
        groups=st.tuples(st.sampled_from([0, 1, 2]), st.sampled_from([0, 1, 2])),
        without=st.sampled_from([(), ("z",), ("D", "delta_bias"), ("initial_state",)]),
        softplus=st.booleans(),
        layout=st.sampled_from(LAYOUTS),
        crossed=st.booleans(),
    ),
    st.sampled_from(["torch"] if MISSING else ["cpp", "torch"]),
)
def test_any_shape_equals_the_definition(problem, backend):
    assert_equal(run(backend, problem.inputs(), problem.softplus), *definition(problem))


def test_problems_are_what_their_ids_say():
    assert replace(Problem(), length=3).inputs()["u"].shape == (2, 16, 3)
    assert "initial_state" not in Problem(without=("initial_state",)).inputs()
    assert str(Problem(length=3, groups=(0, 2))) == "length=3 groups=(0, 2)"


@pytest.mark.parametrize(
    ("layout", "crossed", "u", "B"),
    [
        ("BTD", False, (15, 1, 3), (20, 20, 1, 4)),
        ("BTD", True, (15, 1, 3), (20, 20, 5, 1)),
        ("BDT", False, (15, 5, 1), (20, 20, 5, 1)),
        ("BDT", True, (15, 5, 1), (20, 20, 1, 4)),
        ("slices", False, (35, 2, 7), (40, 8, 1, 8)),
        ("expanded", False, (0, 1, 0), (20, 20, 5, 1)),
    ],
)
def test_layouts_are_what_their_names_say(layout, crossed, u, B):
    inputs = Problem(2, 3, 5, 4, layout=layout, crossed=crossed).inputs(torch.bfloat16, mixed=True)
    assert (inputs["u"].stride(), inputs["B"].stride()) == (u, B)
    assert (inputs["u"].dtype, inputs["A"].dtype) == (torch.bfloat16, torch.float32)


def test_the_comparison_can_fail():
    wanted = {"out": torch.ones(3, dtype=torch.float64)}
    assert_equal({"out": torch.ones(3) * (1 + 1e-6)}, wanted)
    with pytest.raises(AssertionError):
        assert_equal({"out": torch.ones(3) * (1 + 1e-5)}, wanted)
    with pytest.raises(AssertionError):
        assert_equal({"out": torch.ones(3) * (1 + 1e-5)}, wanted, {"out": torch.full((3,), 2.0)})


@pytest.mark.parametrize("problem", [Problem(), Problem(softplus=False, groups=(0, 2)), Problem(step=4.0)], ids=str)
def test_sizes_are_what_comes_out_where_nothing_cancels(problem):
    """With every input but A above zero, and gradients that are, too, the sums are the sums of magnitudes."""
    inputs = {name: x.double() if name == "A" else x.double().abs() for name, x in problem.inputs().items()}
    leaves = {name: x.requires_grad_() for name, x in inputs.items()}
    ends = selective_scan_ref(**leaves, delta_softplus=problem.softplus, return_last_state=True)
    ones = [torch.ones_like(x) for x in ends]
    gradients = torch.autograd.grad(ends, list(leaves.values()), ones)
    sizes = magnitudes(inputs, problem.softplus, ones)
    for name, value in zip(("out", "last"), ends, strict=True):
        torch.testing.assert_close(sizes[name], value.detach())
    for name, gradient in zip(leaves, gradients, strict=True):
        if name == "delta" or name == "delta_bias":  # to whom decay and inflow give opposite signs
            assert (sizes[f"grad of {name}"] >= gradient.abs()).all()
        else:
            torch.testing.assert_close(sizes[f"grad of {name}"], gradient)


def test_sizes_are_no_smaller_than_what_comes_out():
    wanted, sizes = definition(Problem(groups=(0, 2), layout="expanded"))
    assert wanted.keys() == sizes.keys()
    assert all((sizes[name] * (1 + 1e-12) >= value.abs()).all() for name, value in wanted.items())
