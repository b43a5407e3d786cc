"""Triton's kernels against the recurrence in float64: in triton's interpreter, and compiled where there is a GPU."""

import warnings
from dataclasses import dataclass
from unittest.mock import patch

import pytest
import torch
from scans import GRADIENT, OPTIONAL, OUTPUT, Problem, error
from torch import Tensor

from lib.kernels.scan import triton as fused
from lib.models.ssm.scan import selective_scan_fn, selective_scan_ref

ROUNDING = {torch.float32: 0.0, torch.bfloat16: 2**-7, torch.float16: 2**-11}  # the interpreter cuts bfloat16 off


@dataclass(frozen=True)
class Case(Problem):
    """A problem small enough for the interpreter, and what only these kernels vary."""

    channels: int = 3
    length: int = 5
    states: int = 4
    layout: str = "BDT"
    step: float = 0.0
    size: float = 2.0  # delta has unit variance
    last: bool = True  # the last state gets a gradient, too
    dtype: torch.dtype = torch.float32
    chunk: int = 64


CASES = [
    Case(),
    Case(length=1, channels=1, states=1),
    Case(length=2, states=1),
    Case(length=17, channels=16, states=8, layout="BTD"),
    Case(length=70, channels=2, states=16, batch=1),
    Case(length=33, channels=4, groups=(2, 2), chunk=8),
    Case(channels=6, groups=(2, 3)),
    Case(length=3, channels=70, states=8),  # a second block of channels, partly filled
    Case(without=OPTIONAL, softplus=False, last=False),
    *(Case(without=(name,)) for name in OPTIONAL),
    Case(softplus=False, chunk=2),
    Case(last=False, chunk=2),
    Case(groups=(0, 1), chunk=2),
    Case(groups=(1, 0), chunk=2),
    Case(groups=(0, 0), layout="BTD"),
    Case(channels=4, groups=(0, 2)),
    Case(layout="slices"),
    Case(layout="expanded"),
    Case(layout="BTD", dtype=torch.bfloat16, length=9, chunk=4),
    Case(dtype=torch.float16),
    Case(size=120.0),  # softplus and gate from one end to the other
]


def passes(case: Case, scan, given: dict[str, Tensor], softplus: bool) -> dict[str, Tensor]:
    """Output, last state and all gradients of a weighted sum of both."""
    out, last = scan(**given, delta_softplus=softplus, return_last_state=True)
    generator = torch.Generator().manual_seed(1)
    weights = torch.randn(out.shape, generator=generator).to(case.dtype)  # exact in every precision compared
    if case.layout == "expanded":  # as the gradient of a sum is
        weights = weights[:1, :, :1].expand(out.shape)
    pull = [weights.to(out), torch.randn(last.shape, generator=generator).to(last)]
    ends = (out, last) if case.last else (out,)
    grads = torch.autograd.grad(ends, list(given.values()), pull[: len(ends)])
    return {"out": out.detach(), "last": last.detach()} | dict(zip(given, grads, strict=True))


def compare(case: Case, device: str = "cpu", oracle_softplus: bool | None = None) -> dict[str, tuple[float, float]]:
    """Per tensor, the largest error relative to its largest value, and how much its own precision accounts for."""
    inputs = case.inputs(case.dtype, device=device, mixed=True)
    given = {name: x.requires_grad_() for name, x in inputs.items()}
    with patch.object(fused, "CHUNK", case.chunk), warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)  # the interpreter's overflows
        found = passes(case, lambda **x: selective_scan_fn(**x, backend="triton"), given, case.softplus)
    exact = {name: x.detach().double().requires_grad_() for name, x in given.items()}
    softplus = case.softplus if oracle_softplus is None else oracle_softplus
    expected = passes(case, selective_scan_ref, exact, softplus)
    assert {name: x.shape for name, x in found.items()} == {name: x.shape for name, x in expected.items()}
    assert [found[name].dtype for name in given] == [x.dtype for x in given.values()]
    assert found["out"].dtype == case.dtype
    assert found["last"].dtype == torch.float32
    return {name: (error(x, expected[name]), ROUNDING[x.dtype]) for name, x in found.items()}


def assert_accurate(errors: dict[str, tuple[float, float]], slack: float = 1.0) -> None:
    for name, (size, rounding) in errors.items():
        allowed = slack * (OUTPUT if name in ("out", "last") else GRADIENT) + rounding
        assert size <= allowed, f"{name}: {size:.1e} of its largest value, {allowed:.1e} allowed"


@pytest.mark.parametrize("case", CASES, ids=str)
def test_outputs_and_gradients_are_those_of_the_recurrence(interpreter, case):
    assert_accurate(interpreter.submit(compare, case).result())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("case", CASES, ids=str)
def test_outputs_and_gradients_are_those_of_the_recurrence_on_a_gpu(case):
    if reason := fused.unavailable(torch.device("cuda"), torch.float32):
        pytest.skip(reason)
    assert_accurate(compare(case, "cuda"), slack=5)  # a GPU's exponential is good to 22 bits


def test_the_comparison_sees_another_step_size(interpreter):
    errors = interpreter.submit(compare, Case(), oracle_softplus=False).result()
    with pytest.raises(AssertionError, match="out: "):
        assert_accurate(errors)
