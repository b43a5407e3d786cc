"""Every backend against the definition in float64; the definition against finite differences and convolutions.

The Triton backend has the same grid, smaller, in tests/kernels/test_fused.py: its interpreter is slow.
"""

from dataclasses import dataclass, replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.models.scan import (
    KERNELS,
    explain_backend,
    flops,
    selective_scan_fn,
    selective_scan_ref,
    selective_scan_step,
)

MISSING = KERNELS["cpp"].unavailable(torch.device("cpu"), torch.float32)
FAST = (pytest.param("cpp", marks=pytest.mark.skipif(MISSING is not None, reason=str(MISSING))), "torch")
OUTPUT, GRADIENT = 2e-6, 1e-5  # largest error over largest value


@dataclass(frozen=True)
class Problem:
    """One point of the grid; `inputs` draws its tensors."""

    batch: int = 2
    channels: int = 16
    length: int = 40
    states: int = 8
    groups: int = 1
    static: str = ""  # which of B and C do not vary
    without: str = ""  # optional inputs left out, by name
    softplus: bool = True
    step: float = -1.0  # mean of delta before softplus
    channels_last: bool = True

    def inputs(self, dtype: torch.dtype = torch.float32, seed: int = 0) -> dict[str, torch.Tensor]:
        generator = torch.Generator().manual_seed(seed)
        b, d, t, n, g = self.batch, self.channels, self.length, self.states, self.groups

        def normal(*shape):
            return torch.randn(*shape, generator=generator)

        def sequence():
            return normal(b, t, d).transpose(1, 2) if self.channels_last else normal(b, d, t)

        def rows(name):
            return normal(d, n) if name in self.static else normal(b, g, t, n).transpose(2, 3)

        delta = sequence() / 2 + self.step
        drawn = {
            "u": sequence(),
            "delta": delta if self.softplus else delta.abs() / 10,
            "A": -torch.rand(d, n, generator=generator) * n - 0.1,
            "B": rows("B"),
            "C": rows("C"),
            "D": normal(d),
            "z": sequence(),
            "delta_bias": normal(d) / 5 if self.softplus else normal(d).abs() / 10,
            "initial_state": normal(b, d, n),
        }
        missing = self.without.split()
        return {name: x.to(dtype) for name, x in drawn.items() if name not in missing}


LENGTHS = [Problem(length=length, states=4) for length in (1, 2, 17, 128, 256, 512, 1024, 2048, 4096)]
SIZES = [Problem(channels=channels, states=states) for channels in (1, 3, 16, 257) for states in (1, 8, 16, 64)]
OPTIONS = [
    *(Problem(without=name) for name in ("D", "z", "delta_bias", "initial_state", "D z delta_bias initial_state")),
    *(Problem(softplus=False, without=name) for name in ("", "delta_bias")),
    *(Problem(static=static, states=13) for static in ("B", "C", "BC")),
    *(Problem(groups=groups, channels=48, static=static) for groups in (2, 6, 48) for static in ("", "C")),
    Problem(channels_last=False, channels=20),
    Problem(batch=1, channels=600, length=33),  # many blocks, several partial sums
    Problem(step=4.0, length=100),  # steps far above one
]


def run(backend: str, inputs: dict, softplus: bool, seed: int = 1) -> dict[str, torch.Tensor]:
    """Output, last state, and the gradients of a random function of both."""
    leaves = {name: x.detach().clone().requires_grad_() for name, x in inputs.items()}
    scan = selective_scan_ref if backend == "ref" else selective_scan_fn
    chosen = {} if backend == "ref" else {"backend": backend}
    out, last = scan(**leaves, delta_softplus=softplus, return_last_state=True, **chosen)
    generator = torch.Generator().manual_seed(seed)
    seeds = [torch.randn(x.shape, generator=generator).to(x.dtype) for x in (out, last)]
    gradients = torch.autograd.grad([out, last], list(leaves.values()), seeds)
    return {"out": out, "last": last, **{f"grad of {name}": x for name, x in zip(leaves, gradients, strict=True)}}


def error(found: torch.Tensor, wanted: torch.Tensor) -> float:
    return ((found.double() - wanted).abs().max() / wanted.abs().max().clamp_min(1e-30)).item()


def assert_equal(found: dict, wanted: dict, output: float = OUTPUT, gradient: float = GRADIENT) -> None:
    errors = {name: error(found[name], wanted[name]) for name in wanted}
    for name, size in errors.items():
        assert size <= (gradient if name.startswith("grad") else output), errors


@pytest.mark.parametrize("backend", FAST)
@pytest.mark.parametrize("problem", [*LENGTHS, *SIZES, *OPTIONS], ids=str)
def test_a_backend_equals_the_definition(problem, backend):
    inputs = problem.inputs()
    exact = {name: x.double() for name, x in inputs.items()}
    assert_equal(run(backend, inputs, problem.softplus), run("ref", exact, problem.softplus))


def test_the_torch_backend_is_exact_in_float64():
    problem = Problem(length=70)
    inputs = problem.inputs(torch.float64)
    assert_equal(run("torch", inputs, True), run("ref", inputs, True), output=1e-13, gradient=1e-12)


@pytest.mark.parametrize("backend", FAST)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_inputs_keep_their_state_in_float32(backend, dtype):
    problem = Problem(length=65)
    inputs = problem.inputs(dtype)
    found = run(backend, inputs, True)
    wanted = run("ref", {name: x.double() for name, x in inputs.items()}, True)
    assert found["out"].dtype == dtype
    assert found["last"].dtype == torch.float32
    assert error(found["last"], wanted["last"]) < OUTPUT
    assert all(found[f"grad of {name}"].dtype == x.dtype for name, x in inputs.items())
    rounding = torch.finfo(dtype).eps
    assert_equal(found, wanted, output=rounding, gradient=2 * rounding)


def test_mixed_precision_as_under_autocast_is_accepted():
    inputs = Problem().inputs()
    mixed = inputs | {name: inputs[name].bfloat16() for name in ("delta", "B", "C")}
    exact = {name: x.double() for name, x in mixed.items()}
    out = selective_scan_fn(**mixed, delta_softplus=True)
    assert out.dtype == torch.float32
    assert error(out, selective_scan_ref(**exact, delta_softplus=True)) < OUTPUT


def test_the_definition_passes_gradcheck():
    inputs = Problem(channels=4, length=5, states=3, groups=2).inputs(torch.float64)
    names = list(inputs)
    leaves = tuple(x.clone().requires_grad_() for x in inputs.values())

    def scan(*tensors):
        return selective_scan_ref(**dict(zip(names, tensors, strict=True)), delta_softplus=True, return_last_state=True)

    assert torch.autograd.gradcheck(scan, leaves)


def test_without_selection_the_definition_is_a_convolution():
    """Constant step, static B and C: y = k * u with k[t] = sum over n of C exp(step A)^t step B."""
    problem = Problem(static="BC", without="D z delta_bias initial_state", softplus=False, length=30)
    inputs = problem.inputs(torch.float64)
    step = 0.2
    inputs["delta"] = torch.full_like(inputs["delta"], step)
    lag = torch.arange(problem.length, dtype=torch.float64)
    kernel = (inputs["C"] * inputs["B"] * step * torch.exp(step * inputs["A"] * lag[:, None, None])).sum(-1).T
    wanted = torch.stack(
        [(kernel[:, : t + 1].flip(1) * inputs["u"][..., : t + 1]).sum(-1) for t in range(problem.length)], dim=-1
    )
    torch.testing.assert_close(selective_scan_ref(**inputs), wanted, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("backend", [*FAST, "ref"])
@pytest.mark.parametrize("name", ["u", "delta", "B", "C", "z"])
def test_nothing_reaches_back_in_time(backend, name):
    inputs = Problem(length=70).inputs()
    before = selective_scan_fn(**inputs, delta_softplus=True, backend=backend)
    changed = inputs[name].clone()
    changed[..., 45:] += 1
    after = selective_scan_fn(**(inputs | {name: changed}), delta_softplus=True, backend=backend)
    torch.testing.assert_close(after[..., :45], before[..., :45], rtol=0, atol=0)
    assert not torch.equal(after[..., 45:], before[..., 45:])


@pytest.mark.parametrize("backend", FAST)
@pytest.mark.parametrize("cut", [1, 32, 50, 69])
def test_two_calls_with_a_carried_state_equal_one(backend, cut):
    inputs = Problem(length=70).inputs()
    initial = inputs.pop("initial_state")
    options = {"delta_softplus": True, "return_last_state": True, "backend": backend}
    whole, last = selective_scan_fn(**inputs, initial_state=initial, **options)
    parts, state = [], initial
    for part in (slice(cut), slice(cut, None)):
        piece = {name: x[..., part] if name in ("u", "delta", "B", "C", "z") else x for name, x in inputs.items()}
        out, state = selective_scan_fn(**piece, initial_state=state, **options)
        parts.append(out)
    assert error(torch.cat(parts, -1), whole.double()) < OUTPUT
    assert error(state, last.double()) < OUTPUT


def test_steps_equal_the_scan():
    inputs = Problem(length=9, groups=2).inputs()
    state = inputs.pop("initial_state")
    whole, last = selective_scan_fn(**inputs, initial_state=state, delta_softplus=True, return_last_state=True)
    for t in range(9):
        now = {name: x[..., t] if name in ("u", "delta", "B", "C", "z") else x for name, x in inputs.items()}
        out, state = selective_scan_step(state, **now, delta_softplus=True)
        assert error(out, whole[..., t].double()) < OUTPUT
    assert error(state, last.double()) < OUTPUT


@pytest.mark.parametrize("backend", FAST)
def test_long_and_stiff_sequences_stay_finite(backend):
    inputs = Problem(batch=1, channels=4, length=65536, states=4, step=8.0, without="initial_state").inputs()
    inputs["A"] = inputs["A"] * 1e4
    inputs["delta"][..., ::3] = -30.0  # steps of nearly nothing between huge ones
    found = run(backend, inputs, True)
    assert all(x.isfinite().all() for x in found.values())


@pytest.mark.parametrize("backend", FAST)
def test_what_is_not_a_number_is_not_hidden(backend):
    inputs = Problem().inputs()
    inputs["u"][0, 3, 10] = torch.nan
    out = selective_scan_fn(**inputs, delta_softplus=True, backend=backend)
    assert out[0, 3, 10:].isnan().all()
    assert out[0, 3, :10].isfinite().all()
    assert out[1].isfinite().all()


@settings(max_examples=60, deadline=None)
@given(
    st.builds(
        Problem,
        batch=st.integers(1, 3),
        channels=st.integers(1, 40).map(lambda half: 2 * half),
        length=st.integers(1, 100),
        states=st.integers(1, 20),
        groups=st.sampled_from([1, 2]),
        static=st.sampled_from(["", "B", "C", "BC"]),
        without=st.sampled_from(["", "z", "D delta_bias", "initial_state"]),
        softplus=st.booleans(),
        channels_last=st.booleans(),
    ),
    st.sampled_from(["torch"] if MISSING else ["cpp", "torch"]),
)
def test_any_shape_equals_the_definition(problem, backend):
    inputs = problem.inputs()
    exact = {name: x.double() for name, x in inputs.items()}
    assert_equal(run(backend, inputs, problem.softplus), run("ref", exact, problem.softplus))


GOOD = {"u": (2, 6, 5), "delta": (2, 6, 5), "A": (6, 3), "B": (2, 3, 5), "C": (2, 3, 5)}
WRONG = {
    "delta": ("delta", (2, 6, 4), r"delta must be \(2, 6, 5\), not \(2, 6, 4\)"),
    "A": ("A", (5, 3), r"A must be \(6, 3\), not \(5, 3\)"),
    "flat A": ("A", (6,), r"A \(D, N\), not .*A \(6,\)"),
    "B": ("B", (2, 4, 5), r"B must be \(6, 3\), \(2, 3, 5\) or \(2, G, 3, 5\), not \(2, 4, 5\)"),
    "groups": ("C", (2, 4, 3, 5), r"C has 4 groups, which do not divide the 6 channels"),
    "D": ("D", (5,), r"D must be \(6,\), not \(5,\)"),
    "z": ("z", (2, 5, 5), r"z must be \(2, 6, 5\)"),
    "state": ("initial_state", (2, 6, 4), r"initial_state must be \(2, 6, 3\), not \(2, 6, 4\)"),
    "flat u": ("u", (6, 5), r"u must be \(B, D, T\)"),
}


@pytest.mark.parametrize(("name", "shape", "message"), WRONG.values(), ids=WRONG)
@pytest.mark.parametrize("scan", [selective_scan_fn, selective_scan_ref])
def test_a_wrong_shape_is_quoted(scan, name, shape, message):
    tensors = {key: torch.zeros(size) for key, size in (GOOD | {name: shape}).items()}
    with pytest.raises(ValueError, match=message):
        scan(**tensors)


def test_an_empty_axis_is_refused():
    tensors = {key: torch.zeros(size).narrow(-1, 0, size[-1] if key == "A" else 0) for key, size in GOOD.items()}
    with pytest.raises(ValueError, match=r"no axis may be empty: u \(2, 6, 0\)"):
        selective_scan_fn(**tensors)


@pytest.mark.parametrize("dtype", [torch.complex64, torch.int64])
def test_complex_and_whole_numbers_are_refused(dtype):
    tensors = {key: torch.zeros(size) for key, size in GOOD.items()}
    with pytest.raises(ValueError, match=f"A is {dtype}: real floating-point tensors are needed"):
        selective_scan_fn(**(tensors | {"A": tensors["A"].to(dtype)}))


def test_mixed_devices_are_named():
    tensors = {key: torch.zeros(size) for key, size in GOOD.items()}
    with pytest.raises(ValueError, match="one device, not u on cpu, delta on meta"):
        selective_scan_fn(**(tensors | {"delta": tensors["delta"].to("meta")}))


def test_a_step_of_the_wrong_shape_is_quoted():
    with pytest.raises(ValueError, match="delta must be"):
        selective_scan_step(torch.zeros(2, 6, 3), torch.zeros(2, 6), torch.zeros(2, 5), *[torch.zeros(6, 3)] * 3)


def test_an_unknown_backend_is_named():
    with pytest.raises(ValueError, match=r"backend = 'cuda': one of auto, cpp, triton, torch, ref is needed"):
        explain_backend(backend="cuda")


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


def test_operations_are_counted_by_shape():
    counted = 2 * 3 * 5 * (4 * 7 + 3)  # by hand: two products, an exponential and two multiply-adds a state
    assert flops(batch=2, length=3, channels=5, states=4) == counted


def test_problems_are_what_their_ids_say():
    assert replace(Problem(), length=3).inputs()["u"].shape == (2, 16, 3)
    assert "initial_state" not in Problem(without="initial_state").inputs()


def test_the_comparison_can_fail():
    wanted = {"out": torch.ones(3, dtype=torch.float64), "grad of u": torch.ones(3, dtype=torch.float64)}
    with pytest.raises(AssertionError):
        assert_equal({"out": torch.ones(3) * (1 + 1e-5), "grad of u": torch.ones(3)}, wanted)
    with pytest.raises(AssertionError):
        assert_equal({"out": torch.ones(3), "grad of u": torch.ones(3) * (1 + 1e-4)}, wanted)
