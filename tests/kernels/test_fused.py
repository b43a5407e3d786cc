"""Triton's kernels against the recurrence in float64: in triton's interpreter, and compiled where there is a GPU.

Triton reads TRITON_INTERPRET while it is imported, so the interpreter has a process of its own, with that variable set.
"""

import importlib.util
import multiprocessing
import os
import sys
import warnings
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, fields
from unittest.mock import patch

import pytest
import torch
from torch import Tensor

from lib.kernels import fused
from lib.models.scan import explain_backend, selective_scan_fn, selective_scan_ref

NO_TRITON = importlib.util.find_spec("triton") is None
ROUNDING = {torch.float32: 0.0, torch.bfloat16: 2**-7, torch.float16: 2**-11}  # the interpreter cuts bfloat16 off
OPTIONAL = ("D", "z", "delta_bias", "initial_state")


@dataclass(frozen=True)
class Case:
    T: int = 5
    D: int = 3
    N: int = 4
    batch: int = 2
    groups: tuple[int, int] = (1, 1)  # of B and of C; 0 where static
    without: tuple[str, ...] = ()
    softplus: bool = True
    last: bool = True  # the last state gets a gradient, too
    layout: str = "BDT"
    dtype: torch.dtype = torch.float32
    chunk: int = 64
    size: float = 1.0  # of delta, delta_bias and z

    def __str__(self) -> str:
        changed = (f"{f.name}={getattr(self, f.name)}" for f in fields(self) if getattr(self, f.name) != f.default)
        return " ".join(changed).replace("torch.", "") or "all options"


CASES = [
    Case(),
    Case(T=1, D=1, N=1),
    Case(T=2, N=1),
    Case(T=17, D=16, N=8, layout="BTD"),
    Case(T=70, D=2, N=16, batch=1),
    Case(T=33, D=4, groups=(2, 2), chunk=8),
    Case(D=6, groups=(2, 3)),
    Case(T=3, D=70, N=8),  # a second block of channels, partly filled
    Case(without=OPTIONAL, softplus=False, last=False),
    *(Case(without=(name,)) for name in OPTIONAL),
    Case(softplus=False, chunk=2),
    Case(last=False, chunk=2),
    Case(groups=(0, 1), chunk=2),
    Case(groups=(1, 0), chunk=2),
    Case(groups=(0, 0), layout="BTD"),
    Case(D=4, groups=(0, 2)),
    Case(layout="slices", groups=(1, 1)),
    Case(layout="expanded"),
    Case(layout="BTD", dtype=torch.bfloat16, T=9, chunk=4),
    Case(dtype=torch.float16),
    Case(size=60.0),  # softplus and gate from one end to the other
]


@pytest.fixture(scope="module")
def interpreter():
    if NO_TRITON:
        pytest.skip("triton is not installed: pip install triton")
    with worker(TRITON_INTERPRET="1") as pool:
        yield pool


def worker(**environment: str) -> ProcessPoolExecutor:
    """A process that was started with these environment variables."""
    pool = ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))
    with patch.dict(os.environ, environment):
        pool.submit(int).result()
    return pool


def inputs(case: Case, device: str) -> dict[str, Tensor]:
    """Random inputs, leaves of any graph, in the layout and the precision asked for."""
    generator = torch.Generator().manual_seed(0)

    def random(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator)

    def tokens(size: float = 1.0) -> Tensor:
        if case.layout == "BTD":
            return (size * random(case.batch, case.T, case.D)).transpose(1, 2)
        if case.layout == "slices":
            return (size * random(case.batch, case.T, 2 * case.D + 1)).transpose(1, 2)[:, 1::2]
        if case.layout == "expanded":
            return (size * random(case.D, 1)).expand(case.batch, case.D, case.T)
        return size * random(case.batch, case.D, case.T)

    def matrix(groups: int) -> Tensor:
        if groups == 0:
            return random(case.D, case.N)
        if case.layout == "slices":
            return random(case.batch, case.T, groups, 2 * case.N).permute(0, 2, 3, 1)[:, :, : case.N]
        return random(case.batch, groups, case.N, case.T)

    step, gate, bias = tokens(case.size), tokens(case.size), case.size * random(case.D)
    given = {"u": tokens(), "delta": step, "B": matrix(case.groups[0]), "C": matrix(case.groups[1])}
    given |= {"A": -random(case.D, case.N).exp(), "D": random(case.D), "z": gate, "delta_bias": bias}
    given |= {"initial_state": random(case.batch, case.D, case.N)}
    if not case.softplus:
        given |= {"delta": step.abs(), "delta_bias": bias.abs()}
    low = {"u", "delta", "z"} | {name for name, groups in zip("BC", case.groups, strict=True) if groups}
    dtypes = {name: case.dtype if name in low else torch.float32 for name in given if name not in case.without}
    return {name: like(given[name], dtype, device) for name, dtype in dtypes.items()}


def like(x: Tensor, dtype: torch.dtype, device: str) -> Tensor:
    """A copy of other precision with the same strides, even where elements share memory."""
    storage = x.new_empty(0).set_(x.untyped_storage()).to(device, dtype)
    return storage.as_strided(x.shape, x.stride(), x.storage_offset()).requires_grad_()


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
    given = inputs(case, device)
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

    def error(name: str) -> float:
        return float((found[name].double() - expected[name]).abs().max() / expected[name].abs().max())

    return {name: (error(name), ROUNDING[found[name].dtype]) for name in found}


def assert_accurate(errors: dict[str, tuple[float, float]], slack: float = 1.0) -> None:
    for name, (error, rounding) in errors.items():
        allowed = slack * (2e-6 if name in ("out", "last") else 1e-5) + rounding
        assert error <= allowed, f"{name}: {error:.1e} of its largest value, {allowed:.1e} allowed"


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


def kept(case: Case) -> tuple[Tensor | None, Tensor, Tensor, bool]:
    """What is saved without and with a backward pass to follow, the initial state, whether out has u's strides."""
    given = {name: x.detach() for name, x in inputs(case, "cpu").items()}
    names = ("u", "delta", "A", "B", "C", "D", "z", "delta_bias", "initial_state")
    with patch.object(fused, "CHUNK", case.chunk):
        _, _, nothing = fused.forward(*map(given.get, names), True, False)
        out, _, saved = fused.forward(*map(given.get, names), True, True)
    return nothing, saved, given["initial_state"], out.stride() == given["u"].stride()


@pytest.mark.parametrize("layout", ["BDT", "BTD"])
def test_a_state_per_chunk_is_kept_for_a_backward_pass_only(interpreter, layout):
    nothing, saved, initial, strides_kept = interpreter.submit(kept, Case(layout=layout, chunk=2)).result()
    assert nothing is None
    assert saved.shape == (2, 3, 3, 4)
    assert torch.equal(saved[:, 0], initial)
    assert strides_kept


def compile_for(capability: int, cases: list[Case]) -> int:
    """How many kernels come out when every launch of these cases is compiled instead, for a GPU that is not there."""
    from triton.backends.compiler import GPUTarget
    from triton.runtime.driver import driver

    class Driver:
        def get_current_target(self):
            return GPUTarget("cuda", capability, 32)

        def get_current_device(self):
            return 0

        def get_current_stream(self, device):
            return 0

    class Compiler:
        def __init__(self, kernel):
            self.kernel = kernel

        def __getitem__(self, grid):
            return lambda *args, **options: binaries.append(
                self.kernel.warmup(*args, grid=grid, **options).asm["cubin"]
            )

    binaries: list[bytes] = []
    kernels = fused._kernels()
    driver.set_active(Driver())
    with (
        patch.object(kernels, "forward_kernel", Compiler(kernels.forward_kernel)),
        patch.object(kernels, "backward_kernel", Compiler(kernels.backward_kernel)),
        patch.object(fused, "unavailable", lambda device, dtype: None),
    ):
        for case in cases:
            given = inputs(case, "cpu")
            out, last = selective_scan_fn(
                **given, delta_softplus=case.softplus, return_last_state=True, backend="triton"
            )
            torch.autograd.grad((out, last), list(given.values()), (out, last))
    return sum(binary.startswith(b"\x7fELF") for binary in binaries)


@pytest.mark.skipif(NO_TRITON, reason="triton is not installed: pip install triton")
def test_the_kernels_compile_for_gpus_of_every_generation_they_serve(tmp_path):
    cases = [
        Case(T=64, D=32, N=16),
        Case(T=1, N=1, without=OPTIONAL, softplus=False),
        Case(groups=(0, 1), dtype=torch.bfloat16),
    ]
    with worker(TRITON_INTERPRET="0", TRITON_CACHE_DIR=str(tmp_path)) as pool:
        assert [pool.submit(compile_for, capability, cases).result() for capability in (80, 90)] == [6, 6]


@pytest.fixture
def gpu(monkeypatch):
    """A function that pretends there is a GPU of the capability given, on which the kernels run."""

    def pretend(*capability: int) -> None:
        monkeypatch.setattr(fused, "_spec", lambda name: object())
        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
        monkeypatch.setattr(fused, "_fault", lambda device: None)

    return pretend


def test_a_gpu_of_capability_8_is_served_in_all_but_double_precision(gpu):
    gpu(8, 0)
    for dtype in ROUNDING:
        assert fused.unavailable(torch.device("cuda"), dtype) is None
    assert fused.unavailable(torch.device("cuda"), torch.float64) == "float64 is for torch and ref"


def test_an_older_gpu_is_refused_with_its_capability(gpu):
    gpu(7, 5)
    reason = fused.unavailable(torch.device("cuda"), torch.float32)
    assert reason == "compute capability 7.5: triton's releases serve 8.0 and newer; a T4 takes torch"


def test_kernels_that_do_not_run_are_a_reason_not_a_crash(gpu, monkeypatch):
    def broken(*inputs):
        raise RuntimeError("Failed to find C compiler")

    monkeypatch.setattr(fused, "_plan", broken)
    fault = fused._fault.__wrapped__(torch.device("cpu"))
    assert fault == "its kernels do not run on cpu: Failed to find C compiler"
    gpu(9, 0)
    monkeypatch.setattr(fused, "_fault", lambda device: fault)
    assert fused.unavailable(torch.device("cuda"), torch.float32) == fault


def test_kernels_that_run_have_no_fault(interpreter):
    assert interpreter.submit(fused._fault, torch.device("cpu")).result() is None


def test_a_cpu_is_refused_outside_the_interpreter(gpu, monkeypatch):
    gpu(8, 0)
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    assert fused.unavailable(torch.device("cpu"), torch.float32) is None
    monkeypatch.delenv("TRITON_INTERPRET")
    assert fused.unavailable(torch.device("cpu"), torch.float32) == "triton's kernels run on CUDA devices, not on cpu"
    with pytest.raises(RuntimeError, match="not on cpu"):
        explain_backend("cpu", backend="triton")


def test_a_missing_gpu_is_a_reason(gpu, monkeypatch):
    gpu(8, 0)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert fused.unavailable(torch.device("cuda"), torch.float32) == "no CUDA device is available"


def test_the_module_loads_without_triton_and_says_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "triton", None)  # its import fails
    spec = importlib.util.spec_from_file_location("fused_alone", fused.__file__)
    alone = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(alone)
    assert alone.unavailable(torch.device("cuda"), torch.float32) == "triton is not installed"
