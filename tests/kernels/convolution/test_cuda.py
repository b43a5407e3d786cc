"""The convolution's device code, on an emulated block, and the torch code, against torch's operators in float64."""

import pytest
import torch
from convolutions import LAYOUTS, ROUNDINGS, Problem, definition, errors, kernels
from emulation import NEEDED, emulated
from precision import UNIT

from lib.kernels.convolution import cuda
from lib.kernels.convolution import torch as anywhere

pytestmark = [pytest.mark.slow, NEEDED]

LARGE = Problem(batch=2, length=150, channels=140)  # several runs, the last ones short; blocks that are partly filled
CASES = [
    *(Problem(layout=layout) for layout in LAYOUTS),
    *(Problem(length=length, past=past) for length in (1, 2, 3, 4, 5, 16, 17) for past in (True, False)),
    *(Problem(taps=taps, past=past) for taps in (1, 2, 3) for past in (True, False)),
    *(Problem(channels=channels) for channels in (1, 4, 5, 33)),
    *(Problem(bias=False, past=past) for past in (True, False)),
    Problem(batch=1, length=200, channels=4),
    Problem(batch=9, length=2, channels=8),
    LARGE,
]


def emulated_kernels(problem: Problem, order: int = 0, processors: int = 1, **dtypes: torch.dtype) -> dict:
    """What the kernels find, on memory that is NaN before it is written."""
    cuda._made.cache_clear()  # it holds what was planned for another number of processors
    torch.use_deterministic_algorithms(True)  # fills what torch.empty returns
    try:
        with emulated(order, processors):
            return kernels(cuda, *problem.inputs(**dtypes))
    finally:
        torch.use_deterministic_algorithms(False)


@pytest.mark.parametrize("problem", CASES, ids=str)
def test_the_kernels_equal_the_definition(problem):
    found = errors(emulated_kernels(problem), definition(*problem.inputs()))
    assert max(found.values()) <= ROUNDINGS * UNIT, found


@pytest.mark.parametrize("problem", [Problem(), Problem(past=False), Problem(bias=False, taps=6), Problem(taps=1)])
def test_the_torch_code_equals_the_definition(problem):
    found = errors(kernels(anywhere, *problem.inputs(torch.float64, torch.float64)), definition(*problem.inputs()))
    assert max(found.values()) <= 1e-12, found


def test_a_wrong_result_is_found():
    x, past, weight, bias, grad = Problem().inputs()
    found = emulated_kernels(Problem())
    assert errors(found, definition(x, past, weight, bias + 0.1, grad))["out"] > 1e-3
    assert errors(found, definition(x, past.flip(1), weight, bias, grad))["grad of past"] > 1e-3


@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize("problem", [LARGE, Problem(channels=5, length=70)], ids=str)
def test_results_do_not_depend_on_the_order_of_threads(problem, order):
    first, other = emulated_kernels(problem), emulated_kernels(problem, order)
    assert all(torch.equal(first[name], other[name]) for name in first)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize(
    ("problem", "of_parameters"), [(Problem(), "float32"), (Problem(channels=5, length=18), "the input's")], ids=str
)
def test_half_precision_rounds_what_it_returns_and_no_more(dtype, of_parameters, problem):
    dtypes = {"dtype": dtype, "parameters": torch.float32 if of_parameters == "float32" else dtype}
    found, inputs = emulated_kernels(problem, **dtypes), problem.inputs(**dtypes)
    assert [found[f"grad of {name}"].dtype for name in ("x", "weight")] == [dtype, dtypes["parameters"]]
    for name, error in errors(found, definition(*inputs)).items():
        rounded = found[name].dtype == dtype
        assert error <= (torch.finfo(dtype).eps / 2 + ROUNDINGS * UNIT if rounded else ROUNDINGS * UNIT), name


@pytest.mark.parametrize(
    ("batch", "length", "channels", "span"),
    [(2, 2048, 256, cuda.SHORTEST), (8, 2048, 1536, 23), (8, 8192, 1536, cuda.LONGEST)],
)
def test_runs_are_short_where_a_gpu_would_idle_and_long_where_inputs_would_be_read_twice(batch, length, channels, span):
    shape, kind = torch.Size((batch, length, channels)), torch.float32
    plan = cuda._made(shape, 4, kind, kind, False, torch.device("cuda"), 132, True, ())
    assert plan.problem.span == span
    assert plan.grid == (-(-batch * -(-length // span) // cuda.ROWS), channels // 128, 1)


def test_a_gradient_goes_where_it_is_told_and_nowhere_else():
    x, past, weight, bias, grad = Problem().inputs()
    both = torch.full((*x.shape[:2], 2 * x.shape[2]), -7.0)
    with emulated():
        wanted = cuda.backward(grad, x, past, weight, bias)[0]
        found = cuda.backward(grad, x, past, weight, bias, into=both[..., x.shape[2] :])[0]
    assert torch.equal(found, wanted)
    assert both[..., : x.shape[2]].eq(-7).all()


@pytest.mark.parametrize("cuts", [[10, 27], [1] * 9, [2, 1, 3, 5]])
def test_a_sequence_chunk_by_chunk_is_the_whole(cuts):
    x, past, weight, bias, _ = Problem(length=sum(cuts)).inputs()
    found, before = [], past
    with emulated():
        whole = cuda.forward(x, past, weight, bias)
        for chunk in x.split(cuts, dim=1):
            found.append(cuda.forward(chunk, before, weight, bias))
            before = torch.cat([before, chunk], dim=1)[:, chunk.shape[1] :]
    assert torch.equal(torch.cat(found, dim=1), whole)


@pytest.mark.parametrize(
    ("dtype", "taps", "said"),
    [(torch.float32, 5, "5 taps"), (torch.float64, 4, "torch.float64"), (torch.complex64, 4, "torch.complex64")],
)
def test_what_the_kernels_do_not_serve_is_said(dtype, taps, said):
    why = cuda.unavailable(torch.device("cuda"), dtype, 8, taps)
    assert said in why
    assert "up to 4 taps" in why
