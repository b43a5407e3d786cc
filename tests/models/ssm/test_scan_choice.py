"""Which backend serves which inputs, and what is said of the others."""

import pytest
import torch
from scans import Problem

from lib.models.ssm.scan import KERNELS, explain_backend, selective_scan_fn


def test_an_unknown_backend_is_named():
    with pytest.raises(ValueError, match=r"backend = 'triton': one of auto, cpp, cuda, torch, ref is needed"):
        explain_backend(backend="triton")


def test_a_backend_that_cannot_serve_says_why():
    with pytest.raises(RuntimeError, match=r"'cpp' cannot serve torch.float64 on cpu: .*float64 is for torch and ref"):
        selective_scan_fn(**Problem().inputs(torch.float64), backend="cpp")


def test_auto_takes_the_fastest_that_applies_and_says_why():
    choice = explain_backend("cpu", torch.float32)
    assert choice.backend == "cpp"
    assert set(choice.reasons) == {*KERNELS, "ref"}
    assert str(choice).startswith("> cpp")
    assert explain_backend("cpu", torch.float64).backend == "torch"
    assert explain_backend("cpu", torch.float32, "torch").backend == "torch"
