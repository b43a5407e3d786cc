"""The scan's operators: what torch's own check of them says, for every backend that serves here."""

from contextlib import nullcontext

import pytest
import torch
from emulation import NEEDED, emulated
from scans import MISSING, Problem
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.symbolic_shapes import DimDynamic, ShapeEnv, StatelessSymbolicContext
from torch.library import opcheck
from torch.testing._internal.optests.generate_tests import OpCheckError

from lib import names
from lib.kernels.scan import op
from lib.kernels.scan.layout import like

OPS = torch.ops.ssm
ORDER = ("u", "delta", "A", "B", "C", "D", "z", "delta_bias", "initial_state")
SERVING = [
    pytest.param("cpp", marks=pytest.mark.skipif(MISSING is not None, reason=str(MISSING))),
    "torch",
    pytest.param("emulated", marks=[pytest.mark.slow, NEEDED]),
    pytest.param("cuda", marks=[pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")]),
]
PROBLEMS = [
    Problem(),
    Problem(without=("z", "D", "delta_bias", "initial_state"), softplus=False),
    Problem(layout="BDT", crossed=True),
    Problem(layout="slices", groups=(2, 1)),
    Problem(layout="expanded", groups=(0, 2)),
    Problem(batch=1, channels=1, length=1, states=1),
    Problem(channels=33, length=70, groups=(3, 1)),
]


def arguments(problem: Problem, backend: str, dtype: torch.dtype = torch.float32, grad: bool = True) -> list:
    """What the operator takes: the contract's form. "emulated" is the CUDA backend on a CPU."""
    given = problem.inputs(dtype, device="cuda" if backend == "cuda" else "cpu")
    fixed = {name: x.float() for name, x in given.items() if x.ndim < 3 or name == "initial_state"}
    given = {name: x.detach().requires_grad_(grad) for name, x in (given | fixed).items()}
    return [*(given.get(name) for name in ORDER), problem.softplus, "cuda" if backend == "emulated" else backend]


def check(problem: Problem, backend: str, dtype: torch.dtype, **options) -> None:
    with emulated() if backend == "emulated" else nullcontext():
        check_all(problem, backend, dtype, **options)


def check_all(problem: Problem, backend: str, dtype: torch.dtype, **options) -> None:
    opcheck(OPS.selective_scan.default, arguments(problem, backend, dtype), **options)
    inputs = arguments(problem, backend, dtype, grad=False)
    opcheck(OPS.selective_scan_saving.default, inputs, **options)
    out, last, saved = OPS.selective_scan_saving.default(*inputs)
    pulls = torch.randn_like(out), torch.randn_like(last)
    opcheck(OPS.selective_scan_backward.default, (*pulls, saved, *inputs), **options)


@pytest.mark.parametrize("backend", SERVING)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("problem", PROBLEMS, ids=str)
def test_fakes_have_the_shapes_strides_and_dtypes_of_what_runs(problem, dtype, backend):
    check(problem, backend, dtype, test_utils=("test_schema", "test_autograd_registration", "test_faketensor"))


@pytest.mark.slow
@pytest.mark.parametrize("backend", SERVING)
def test_torch_finds_no_fault_with_the_operators(backend):
    """All of its checks, compiled gradients with symbols for sizes among them."""
    check(PROBLEMS[3], backend, torch.float32)


def test_torch_would_find_a_fake_that_is_wrong(monkeypatch):
    monkeypatch.setattr(op, "like", lambda x: x.new_empty(x.shape))  # not in the order of the axes
    with pytest.raises(OpCheckError, match="Stride mismatch"):
        check(PROBLEMS[0], "torch", torch.float32, test_utils="test_faketensor")


@pytest.mark.parametrize("backend", names.BACKENDS)
@pytest.mark.parametrize("groups", [(1, 1), (2, 0), (0, 0)])
def test_the_shape_of_what_is_saved_follows_from_sizes_that_are_symbols(backend, groups):
    if backend == "cpp" and MISSING:
        pytest.skip(MISSING)
    mode = FakeTensorMode(shape_env=ShapeEnv())
    u, _, A, B, C, *_ = arguments(Problem(batch=3, length=50, groups=groups), "torch", grad=False)
    free = StatelessSymbolicContext(dynamic_sizes=[DimDynamic.DYNAMIC, DimDynamic.STATIC, DimDynamic.DYNAMIC])
    moving = mode.from_tensor(u, symbolic_context=free)
    with mode:
        wanted = op._module(backend).saved_shape(u, A, B, C)
        found = op._module(backend).saved_shape(moving, *(mode.from_tensor(x, static_shapes=True) for x in (A, B, C)))
    assert any(isinstance(size, torch.SymInt) for size in found)
    assert tuple(int(size) for size in found) == tuple(wanted)


@pytest.mark.parametrize("shape", [(2, 3, 5), (2, 4, 3, 5), (1, 1, 1)])
@pytest.mark.parametrize("crossed", [False, True])
def test_a_likeness_has_the_order_of_axes_and_no_gaps(shape, crossed):
    x = torch.zeros(*shape[:-2], shape[-1], 2 * shape[-2]).mT[..., ::2, :] if crossed else torch.zeros(shape)
    found = like(x, torch.bfloat16)
    assert (found.shape, found.dtype) == (x.shape, torch.bfloat16)
    assert (found.mT if crossed else found).is_contiguous()


def test_a_backend_named_to_the_operator_says_why_it_cannot_serve():
    with pytest.raises(RuntimeError, match=r"backend = 'cuda' cannot serve torch.float32 on cpu: "):
        OPS.selective_scan.default(*arguments(Problem(), "cpp")[:-1], "cuda")
