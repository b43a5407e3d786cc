"""Steps and gates too large for any model, and what is not a number: every backend on a CPU, against the definition.

All inputs are positive but A: sums hardly cancel, and each element is compared by itself, however small.
"""

from contextlib import nullcontext
from functools import partial

import pytest
import torch
from emulation import NEEDED, emulated
from scans import FAST
from torch import Tensor

from lib.models.ssm.scan import selective_scan_fn, selective_scan_ref

NAMES = ("u", "delta", "A", "B", "C", "D", "z", "delta_bias", "initial_state")


def inputs(channels: int = 20, length: int = 10, states: int = 5) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    sequence, rows = (1, channels, length), (1, states, length)
    shapes = (sequence, sequence, (channels, states), rows, rows, (channels,), sequence, (channels,))
    drawn = (torch.rand(shape, generator=generator) + 0.5 for shape in (*shapes, (1, channels, states)))
    named = dict(zip(NAMES, drawn, strict=True))
    return named | {"A": -named["A"]}


def run(backend: str, tensors: dict[str, Tensor], softplus: bool) -> dict[str, Tensor]:
    """Output, last state, and the gradients of their sum; the definition, in float64, where backend is ref."""
    exact = backend == "ref"
    leaves = {name: (x.double() if exact else x).detach().requires_grad_() for name, x in tensors.items()}
    scan = selective_scan_ref if exact else selective_scan_fn
    options = {} if exact else {"backend": backend}
    out, last = scan(**leaves, delta_softplus=softplus, return_last_state=True, **options)
    gradients = torch.autograd.grad(out.sum() + last.sum(), list(leaves.values()))
    return {"out": out.detach(), "last": last.detach()} | dict(zip(leaves, gradients, strict=True))


def assert_equal(found: dict[str, Tensor], wanted: dict[str, Tensor]) -> None:
    for name, exact in wanted.items():
        assert exact.isfinite().all(), name
        torch.testing.assert_close(
            found[name].double(), exact, rtol=1e-3, atol=1e-4, msg=lambda text, name=name: f"{name}: {text}"
        )


@pytest.fixture(params=[*FAST, pytest.param("cuda", marks=[pytest.mark.slow, NEEDED])])
def scan(request):
    """`run` of one backend; of cuda, on an emulated GPU."""
    with emulated() if request.param == "cuda" else nullcontext():
        yield partial(run, request.param)


STEPS = [(name, value) for name in ("delta", "delta_bias") for value in (1e30, -1e30, 1e4, -1e4)]
GATES = [("z", value) for value in (1e30, -1e30, 1e4, -1e4)]


@pytest.mark.parametrize(("name", "value"), [*STEPS, *GATES])
def test_one_huge_value_under_softplus_or_gate(scan, name, value):
    tensors = inputs()
    tensors[name][..., 7] = value
    assert_equal(scan(tensors, True), run("ref", tensors, True))


@pytest.mark.parametrize("value", [1e30, 1e4])
def test_one_huge_step_as_given(scan, value):  # below zero, states would grow beyond all bounds
    tensors = inputs()
    tensors["delta"][..., 7] = value
    assert_equal(scan(tensors, False), run("ref", tensors, False))


@pytest.mark.parametrize("softplus", [True, False])
@pytest.mark.parametrize("name", NAMES)
def test_what_is_not_a_number_reaches_what_depends_on_it(scan, name, softplus):
    tensors = inputs()
    tensors[name].view(-1)[-3] = torch.nan
    found, wanted = scan(tensors, softplus), run("ref", tensors, softplus)
    assert wanted["out"].isnan().any()
    for key, exact in wanted.items():
        assert torch.equal(found[key].isnan(), exact.isnan()), key


def test_the_comparison_sees_one_small_element():
    wanted = run("ref", inputs(), True)
    found = {name: x.clone() for name, x in wanted.items()}
    found["u"][0, 3, 5] *= 1.01
    with pytest.raises(AssertionError, match="u: "):
        assert_equal(found, wanted)
