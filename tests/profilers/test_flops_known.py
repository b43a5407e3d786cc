"""Every operation is counted, known to be free, or refused by name: of operators that nobody thought of, too."""

import threading

import pytest
import torch
from refusals import refused
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils import flop_counter

from lib.kernels import modes  # noqa: F401  (it defines an operator)
from lib.kernels.convolution import op  # noqa: F401
from lib.models.ssm import scan  # noqa: F401
from lib.profilers import flops as module
from lib.profilers.flops import flops
from lib.profilers.free_operators import is_free

X = torch.rand(4, 4)
PRODUCT = 2 * 4**3


@pytest.fixture(scope="module")
def others():
    """Operators of another library: one of C++, one that stands for torch's own."""
    library = torch.library.Library("others", "DEF")
    library.define("opaque(Tensor x) -> Tensor")
    library.impl("opaque", lambda x: x @ x, "CPU")
    library.define("composed(Tensor x) -> Tensor")
    library.impl("composed", lambda x: (x @ x).relu(), "CompositeImplicitAutograd")
    yield torch.ops.others
    library._destroy()


@pytest.mark.limit(
    "profilers",
    "Counting operations of a call that runs an operator which is neither counted nor known to be free",
    "A count that leaves it out would be too low. Give `flops` a formula for it, or count what it stands for.",
)
def test_an_operator_of_others_is_refused_by_name(others):
    with refused("others::opaque: its operations are not known; call flops(..., formulas=", NotImplementedError):
        flops(lambda: others.opaque(X))
    assert torch._C._len_torch_dispatch_stack() == 0


@pytest.mark.parametrize("form", ["opaque", "opaque.default"])
def test_an_operator_of_others_brings_its_formula(others, form):
    key = others.opaque if form == "opaque" else others.opaque.default
    assert flops(lambda: others.opaque(X), formulas={key: lambda x, out_shape: x[0] * out_shape[1]}) == 16


def test_a_formula_that_torch_was_told_is_known(others, monkeypatch):
    monkeypatch.setitem(flop_counter.flop_registry, others.opaque, lambda x, out_val: x.numel() + out_val.numel())
    assert flops(lambda: others.opaque(X)) == 32


def test_an_operator_that_stands_for_torchs_own_is_taken_apart(others):
    assert flops(lambda: others.composed(X)) == PRODUCT


@pytest.mark.parametrize("answer", [1.5, -1, None, "2"])
def test_a_formula_that_gives_no_count_is_refused(others, answer):
    told = f"others::opaque: its formula gives {answer!r}; a whole number from 0 is needed"
    with refused(told, TypeError):
        flops(lambda: others.opaque(X), formulas={others.opaque: lambda *_, **__: answer})


def test_a_formula_of_what_is_no_operator_is_refused_before_the_call():
    with refused("formulas: <built-in method", TypeError):
        flops(lambda: pytest.fail("called"), formulas={torch.mm: lambda *_, **__: 1})


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: torch.linalg.svd(X), "aten::_linalg_svd"),
        (lambda: torch.linalg.inv(X), "aten::linalg_inv_ex"),
        (lambda: torch.linalg.solve(X, X), "aten::_linalg_solve_ex"),
        (lambda: torch.matrix_exp(X), "aten::linalg_matrix_exp"),
        (lambda: torch.addmm(X.to_sparse_csr(), X.to_sparse_csr(), X.to_sparse_csr()), "aten::addmm"),
        (lambda: torch.sparse.mm(torch.eye(4).to_sparse(), torch.eye(4).to_sparse()), "aten::_sparse_sparse_matmul"),
    ],
)
def test_work_that_depends_on_the_numbers_is_refused_by_name(call, name):
    with refused(f"{name}: ", NotImplementedError):
        flops(call)


def test_a_nested_tensor_is_refused_by_name():
    nested = torch.nested.nested_tensor([torch.rand(2, 4), torch.rand(3, 4)])
    with pytest.raises(NotImplementedError, match=r"aten::.*nested"):
        flops(lambda: F.linear(nested, X))


@pytest.mark.limit(
    "profilers",
    "Counting operations of a CUDA graph's replay, of a Triton kernel called directly or of a compiled package",
    "They run kernels that no operator of torch stands for. Count the function that they were made of.",
)
def test_what_replays_kernels_is_refused_by_name(monkeypatch):
    class Base:
        def replay(self):
            return "ran"

    class Graph(Base):
        def replay(self):
            return super().replay()

    monkeypatch.setattr(torch._C, "_CUDAGraph", Base, raising=False)
    with refused("Base.replay: runs kernels that no operator stands for", NotImplementedError):
        flops(Graph().replay)
    assert Graph().replay() == "ran"


def test_every_operator_of_this_project_is_counted():
    named = [name for name in torch._C._dispatch_get_all_op_names() if name.startswith("ssm::")]
    counted = module.import_module(module.names.OPERATORS["ssm"]).FORMULAS
    assert {"ssm::selective_scan", "ssm::modes"} <= {*named}
    assert not {name.partition(".")[0] for name in named} - counted.keys()


HEAVY = """mm bmm addmm baddbmm addbmm mv addmv dot vdot convolution convolution_backward _grouped_mm _scaled_mm _int_mm
_fft_c2c _trilinear mkldnn_rnn_layer _cudnn_rnn linalg_qr _linalg_svd linalg_lu_factor_ex cholesky_solve _sparse_addmm
_scaled_dot_product_flash_attention _flash_attention_forward _efficient_attention_forward _cdist_forward
_transformer_encoder_layer_fwd _native_multi_head_attention _weight_int4pack_mm _foreach_mm"""


def test_no_product_is_taken_to_be_free():
    packets = [getattr(torch.ops.aten, name) for name in HEAVY.split()]
    assert not [one for packet in packets for form in packet.overloads() if is_free(one := getattr(packet, form))]


def test_no_operator_of_others_is_free(others):
    assert not is_free(others.opaque.default)


@pytest.mark.parametrize(
    "call",
    [
        lambda: F.cross_entropy(X, torch.tensor([0, 1, 2, 3])),
        lambda: F.layer_norm(X, (4,)).softmax(-1).cumsum(0).sort().values.topk(2),
        lambda: F.embedding_bag(torch.tensor([[0, 1]]), X),
        lambda: F.max_pool2d(F.interpolate(X[None, None], scale_factor=2, mode="bicubic"), 2).flip(0),
        lambda: torch.cat([X.t(), X.clone().masked_fill_(X > 0.5, 0)])[[0, 1]].unique(),
        lambda: nn.Dropout(0.5)(X).to(torch.bfloat16).float().view(2, 8).unbind(),
        lambda: torch.optim.AdamW([X.clone().requires_grad_()]).step(),
        lambda: X.to_sparse().coalesce().to_dense().item if X.numel() == 1 else X.sum().item(),
    ],
)
def test_work_in_proportion_to_what_is_read_is_free(call):
    assert flops(call, inference=False) == 0


class Twice(Tensor):
    """A tensor that computes with one that it holds, twice over."""

    @staticmethod
    def __new__(cls, held):
        return Tensor._make_wrapper_subclass(cls, held.shape, dtype=held.dtype)

    def __init__(self, held):
        self.held = held

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        plain = [x.held if isinstance(x, Twice) else x for x in args]
        func(*plain, **(kwargs or {}))
        return func(*plain, **(kwargs or {}))


def test_a_tensor_that_holds_others_is_counted_by_what_it_does_with_them():
    assert flops(lambda: Twice(X) @ X, inference=False) == 2 * PRODUCT


def test_a_branch_counts_what_is_run_and_a_loop_every_round():
    def squared(x):
        return x @ x

    def branch(x):
        return torch.cond(x.sum() > 0, squared, torch.neg, (x,))

    def loop(x):
        return torch.while_loop(lambda i, x: i < 3, lambda i, x: (i + 1, x @ x), (torch.tensor(0), x))

    with torch.compiler.set_stance("force_eager"):
        assert [flops(lambda x=x: branch(x)) for x in (X, -X)] == [PRODUCT, 0]
        assert flops(lambda: loop(X)) == 3 * PRODUCT


def test_a_compiled_function_is_counted_cold_warm_and_in_one_graph(unchecked):
    compiled = torch.compile(lambda x: (x @ x).relu().sum(), backend="aot_eager", fullgraph=True)
    cold = flops(lambda: compiled(X), inference=False)
    compiled(X)
    assert [cold, flops(lambda: compiled(X), inference=False), flops(lambda: compiled(X))] == [PRODUCT] * 3


def test_two_counts_at_once_are_each_their_own():
    found = {}

    def work(times):
        found[times] = flops(lambda: [X @ X for _ in range(times)])

    start = threading.Thread.start
    threads = [threading.Thread(target=work, args=(times,)) for times in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {times: times * PRODUCT for times in range(1, 5)}
    assert threading.Thread.start is start
