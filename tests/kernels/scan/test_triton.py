"""Triton's kernels against the recurrence in float64: in triton's interpreter, and compiled where there is a GPU."""

import warnings
from dataclasses import dataclass
from unittest.mock import patch

import pytest
import torch
from precision import UNIT
from scan_magnitudes import magnitudes
from scans import OPTIONAL, ROUNDINGS, Problem
from torch import Tensor

from lib.kernels.scan import triton as fused
from lib.models.ssm.scan import selective_scan_fn, selective_scan_ref

pytestmark = pytest.mark.slow

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


def pulls(case: Case, out: Tensor, last: Tensor) -> list[Tensor]:
    """Gradients of the output and, unless the case leaves it alone, of the last state."""
    generator = torch.Generator().manual_seed(1)
    weights = torch.randn(out.shape, generator=generator).to(case.dtype)  # exact in every precision compared
    if case.layout == "expanded":  # as the gradient of a sum is
        weights = weights[:1, :, :1].expand(out.shape)
    return [weights.to(out), torch.randn(last.shape, generator=generator).to(last)][: 1 + case.last]


def passes(case: Case, scan, given: dict[str, Tensor], softplus: bool) -> dict[str, Tensor]:
    """Output, last state and all gradients of a weighted sum of both."""
    ends = scan(**given, delta_softplus=softplus, return_last_state=True)
    pull = pulls(case, *ends)
    grads = torch.autograd.grad(ends[: len(pull)], list(given.values()), pull)
    named = {f"grad of {name}": x for name, x in zip(given, grads, strict=True)}
    return {"out": ends[0].detach(), "last": ends[1].detach()} | named


def compare(
    case: Case, device: str = "cpu", oracle_softplus: bool | None = None, slack: float = 1.0
) -> dict[str, float]:
    """Per tensor, the largest error as a share of what is allowed: the rounding of what is added, and of the result.

    slack   of the rounding inside
    """
    inputs = case.inputs(case.dtype, device=device, mixed=True)
    given = {name: x.requires_grad_() for name, x in inputs.items()}
    with patch.object(fused, "CHUNK", case.chunk), warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)  # the interpreter's overflows
        found = passes(case, lambda **x: selective_scan_fn(**x, backend="triton"), given, case.softplus)
    exact = {name: x.detach().double().cpu().requires_grad_() for name, x in given.items()}
    softplus = case.softplus if oracle_softplus is None else oracle_softplus
    expected = passes(case, selective_scan_ref, exact, softplus)
    sizes = magnitudes(exact, softplus, pulls(case, expected["out"], expected["last"]))
    assert {name: x.shape for name, x in found.items()} == {name: x.shape for name, x in expected.items()}
    assert [found[f"grad of {name}"].dtype for name in given] == [x.dtype for x in given.values()]
    assert found["out"].dtype == case.dtype
    assert found["last"].dtype == torch.float32
    shares = {}
    for name, x in found.items():
        allowed = slack * ROUNDINGS * UNIT * sizes[name].max() + ROUNDING[x.dtype] * expected[name].abs().max()
        shares[name] = ((x.double().cpu() - expected[name]).abs().max() / allowed.clamp_min(1e-30)).item()
    return shares


def assert_accurate(shares: dict[str, float]) -> None:
    for name, share in shares.items():
        assert share <= 1, f"{name}: {share:.1f} times the error that is allowed"


@pytest.mark.parametrize("case", CASES, ids=str)
def test_outputs_and_gradients_are_those_of_the_recurrence(interpreter, case):
    assert_accurate(interpreter.submit(compare, case).result())


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("case", CASES, ids=str)
def test_outputs_and_gradients_are_those_of_the_recurrence_on_a_gpu(case):
    if reason := fused.unavailable(torch.device("cuda"), torch.float32):
        pytest.skip(reason)
    assert_accurate(compare(case, "cuda", slack=5))  # a GPU's exponential is good to 22 bits


def test_the_comparison_sees_another_step_size(interpreter):
    shares = interpreter.submit(compare, Case(), oracle_softplus=False).result()
    with pytest.raises(AssertionError, match="out: "):
        assert_accurate(shares)
