"""The convolution's C++ version against torch's operators in float64: values, gradients, places in memory, bits."""

import pytest
import torch
from convolutions import LAYOUTS, NAMES, ROUNDINGS, Problem, definition, errors, kernels
from precision import UNIT
from torch import Tensor
from torch.nn import functional as F

from lib.kernels import build
from lib.kernels.convolution import cpp

MISSING = cpp.unavailable(torch.device("cpu"), torch.float32, 1, 1)
pytestmark = pytest.mark.skipif(MISSING is not None, reason=str(MISSING))

LARGE = Problem(batch=2, length=300, channels=257)  # three spans of tokens, the last one short; two blocks of channels
CASES = [
    *(Problem(layout=layout) for layout in LAYOUTS),
    *(Problem(length=length, past=past) for length in (1, 2, 3, 4, 5, 127, 128, 129, 131) for past in (True, False)),
    *(Problem(taps=taps, past=past, length=130) for taps in (1, 2, 3) for past in (True, False)),
    *(Problem(channels=channels, layout=layout) for channels in (1, 3, 17, 130) for layout in ("half", "time first")),
    *(Problem(bias=False, past=past) for past in (True, False)),
    Problem(batch=9, length=2, channels=8),
    LARGE,
]


def sizes(x, past, weight, bias, grad) -> dict[str, Tensor]:
    """Sums of the absolute values of what each result adds up, SiLU left out: its slope is at most 1.1."""
    leaves = [one if one is None else one.double().abs().requires_grad_() for one in (x, past, weight, bias)]
    x, past, weight, bias = leaves
    past = x.new_zeros(len(x), weight.shape[2] - 1, x.shape[2]) if past is None else past
    out = F.conv1d(torch.cat([past, x], dim=1).mT, weight, bias, groups=len(weight)).mT
    named = {f"grad of {name}": one for name, one in zip(NAMES, leaves, strict=True) if one is not None}
    grads = torch.autograd.grad(out, list(named.values()), grad.double().abs())
    return {"out": out.detach()} | dict(zip(named, grads, strict=True))


def assert_rounded(found: dict[str, Tensor], inputs: list[Tensor | None]) -> None:
    """Results are those of the definition, up to roundings of the largest sum of what one adds up."""
    wanted, size = definition(*inputs), sizes(*inputs)
    assert found.keys() == wanted.keys()
    for name, one in wanted.items():
        assert found[name].shape == one.shape
        if one.numel():  # a convolution of one tap has no past
            error = (found[name].double() - one).abs().max() / size[name].max()
            assert error <= ROUNDINGS * UNIT, f"{name}: {error / UNIT:.1f} roundings"


@pytest.mark.parametrize("problem", CASES, ids=str)
def test_the_kernel_equals_the_definition(problem):
    inputs = problem.inputs()
    assert_rounded(kernels(cpp, *inputs), inputs)


def test_a_wrong_result_is_found():
    x, past, weight, bias, grad = Problem().inputs()
    found = kernels(cpp, x, past, weight, bias, grad)
    for wrong in ([x, past, weight, bias + 1e-4, grad], [x, past.flip(1), weight, bias, grad]):
        with pytest.raises(AssertionError, match="roundings"):
            assert_rounded(found, wrong)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize(
    ("problem", "of_parameters"), [(Problem(), "float32"), (Problem(channels=17, length=18), "the input's")], ids=str
)
def test_half_precision_rounds_what_it_returns_and_no_more(dtype, of_parameters, problem):
    dtypes = {"dtype": dtype, "parameters": torch.float32 if of_parameters == "float32" else dtype}
    inputs = problem.inputs(**dtypes)
    found = kernels(cpp, *inputs)
    assert [found[f"grad of {name}"].dtype for name in NAMES] == [dtype, dtype, *[dtypes["parameters"]] * 2]
    for name, error in errors(found, definition(*inputs)).items():
        rounded = found[name].dtype == dtype
        assert error <= (torch.finfo(dtype).eps / 2 + ROUNDINGS * UNIT if rounded else ROUNDINGS * UNIT), name


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("channels", [5, 16, 40])
def test_a_gradient_goes_where_it_is_told_and_nowhere_else(dtype, channels):
    x, past, weight, bias, grad = Problem(channels=channels).inputs(dtype)
    wide = torch.full((len(x), x.shape[1] + 1, 3 * channels), -7.0, dtype=dtype)
    place = wide[:, :-1, channels : 2 * channels]
    wanted = cpp.backward(grad, x, past, weight, bias)[0]
    assert cpp.backward(grad, x, past, weight, bias, into=place)[0] is place
    assert torch.equal(place, wanted)
    place.fill_(-7)
    assert wide.eq(-7).all()


def test_what_lies_beside_the_inputs_is_not_read():
    problem = Problem(channels=13, length=130)
    x, past, weight, bias, grad = problem.inputs()
    wanted = kernels(cpp, x, past, weight, bias, grad)
    x, past, grad = (F.pad(one, (3, 5, 1, 1), value=torch.nan)[:, 1:-1, 3:-5] for one in (x, past, grad))
    found = kernels(cpp, x, past, weight, bias, grad)
    assert all(torch.equal(found[name], wanted[name]) for name in wanted)


@pytest.mark.parametrize(("batch", "length"), [(0, 5), (2, 0), (0, 0)])
def test_without_tokens_there_are_gradients_of_zero(batch, length):
    x, past, weight, bias, grad = Problem(batch=batch, length=length, layout="whole").inputs()
    found = kernels(cpp, x, past, weight, bias, grad)
    assert found["out"].shape == found["grad of x"].shape == x.shape
    assert found["grad of past"].shape == past.shape
    assert all(found[f"grad of {name}"].eq(0).all() for name in NAMES)


@pytest.mark.parametrize("problem", [LARGE, Problem(batch=40, length=70, channels=40)], ids=str)
def test_results_do_not_depend_on_the_number_of_threads(problem):
    inputs, before, found = problem.inputs(), torch.get_num_threads(), []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            found.append(kernels(cpp, *inputs))
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(found[0][name], other[name]) for other in found[1:] for name in other)


def test_a_sequence_has_the_same_bits_in_any_batch():
    x, past, weight, bias, grad = LARGE.inputs()
    every = kernels(cpp, x, past, weight, bias, grad)
    alone = kernels(cpp, x[1:], past[1:], weight, bias, grad[1:])
    assert all(torch.equal(alone[name][0], every[name][1]) for name in ("out", "grad of x", "grad of past"))


@pytest.mark.parametrize("cuts", [[10, 127], [1] * 9, [2, 1, 3, 5]])
def test_a_sequence_chunk_by_chunk_has_the_bits_of_the_whole(cuts):
    x, past, weight, bias, _ = Problem(length=sum(cuts), channels=21).inputs()
    whole, found, before = cpp.forward(x, past, weight, bias), [], past
    for chunk in x.split(cuts, dim=1):
        found.append(cpp.forward(chunk, before, weight, bias))
        before = torch.cat([before, chunk], dim=1)[:, chunk.shape[1] :]
    assert torch.equal(torch.cat(found, dim=1), whole)


WIDTHS = {"baseline": (), "avx2": ("-mavx2", "-mfma"), "avx512": ("-mavx512f",)}


@pytest.fixture(params=WIDTHS)
def width(request, monkeypatch):
    """Compile for one register width, where this processor has it."""
    name, able = request.param, torch.backends.cpu.get_cpu_capability().lower()
    if name != "baseline" and name not in able and not (name == "avx2" and able == "avx512"):
        pytest.skip(f"this processor has {able}, not {name}")
    monkeypatch.setattr(build, "OPTIONAL", (WIDTHS[name],))
    for cached in (build.library, cpp._load):
        cached.cache_clear()
    yield
    for cached in (build.library, cpp._load):
        cached.cache_clear()


@pytest.mark.slow
@pytest.mark.usefixtures("width")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_every_register_width_gives_the_same(dtype):
    inputs = Problem(channels=45, length=130).inputs(dtype)
    allowed = ROUNDINGS * UNIT + (torch.finfo(dtype).eps / 2 if dtype == torch.bfloat16 else 0)
    assert max(errors(kernels(cpp, *inputs), definition(*inputs)).values()) <= allowed


@pytest.mark.slow
@pytest.mark.usefixtures("width")
def test_every_register_width_bears_huge_inputs_and_keeps_what_is_not_a_number():
    values = torch.tensor([1e30, -1e30, 1e4, -1e4, 100, -100, 88, -88, 1e-30, 0, torch.inf, -torch.inf, torch.nan])
    x, one, grad = values.view(1, -1, 1).expand(1, -1, 19), torch.ones(19, 1, 1), torch.ones(1, len(values), 19)
    found = kernels(cpp, x, None, one, None, grad)
    leaf = x.double().requires_grad_()
    exact = F.silu(leaf)
    (slope,) = torch.autograd.grad(exact, leaf, grad.double())
    for name, wanted in (("out", exact), ("grad of x", slope)):
        torch.testing.assert_close(found[name].double(), wanted, rtol=1e-6, atol=1e-30, equal_nan=True)
