"""The recurrence of modes under all that looks at operators, or at tensors without memory: right, or refused."""

import io

import pytest
import torch
from lazy_views import LAYOUTS, LAZY, plain
from recurrences import assert_rounded, exact
from refusals import refused
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.autograd import forward_ad
from torch.fx.experimental.proxy_tensor import make_fx
from torch.testing import assert_close

from lib.kernels import modes
from lib.models.distill.modes import Modes
from lib.models.distill.recurrence import Recurrence
from lib.models.distill.replace import deployed
from lib.models.ssm.s4d import S4D

pytestmark = pytest.mark.usefixtures("unchecked")
CHECKS = ("test_schema", "test_autograd_registration", "test_faketensor", "test_aot_dispatch_dynamic")


@pytest.fixture(scope="module")
def bank() -> Modes:
    return Modes.of(S4D(3, 4, generator=torch.Generator().manual_seed(0)))


@pytest.fixture(scope="module")
def layer(bank) -> Recurrence:
    return Recurrence(bank)


def drawn(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape or (2, 9, 3), generator=torch.Generator().manual_seed(seed))


def given(layer: Recurrence, x: Tensor) -> tuple[Tensor, ...]:
    """What the operator takes."""
    decay, weight = (torch.view_as_complex(one) for one in (layer.pairs, layer.C))
    state = torch.view_as_complex(drawn(7, len(x), *layer.C.shape))
    return x, decay, weight, layer.skip, state


def assert_exact(layer: Recurrence, out: Tensor, x: Tensor) -> None:
    *fixed, state = given(layer, x)
    wanted = exact(*fixed, torch.zeros_like(state))
    assert_rounded(out, wanted.out, wanted.out_noise)


@pytest.mark.slow
@pytest.mark.parametrize("precise", [False, True])
def test_opcheck_finds_nothing(layer, precise):
    x, *fixed = given(layer, drawn(0))
    inputs = x.mT.contiguous().mT, *fixed
    if precise:
        inputs = [one.to(torch.complex128 if one.is_complex() else torch.float64) for one in inputs]
    torch.library.opcheck(torch.ops.ssm.modes.default, tuple(inputs), test_utils=CHECKS)


@pytest.mark.parametrize("kind", LAZY)
def test_inputs_and_states_may_be_views_of_any_kind(layer, kind):
    x, decay, weight, skip, state = given(layer, drawn(0))
    wanted = exact(x, decay, weight, skip, state)
    if kind not in ("negated imaginary part", "negative view", "unaligned", "functional"):
        state = LAZY[kind](state)
    out, last = layer.recurrent(LAZY[kind](x), state)
    assert_rounded(plain(out), wanted.out, wanted.out_noise)
    assert_rounded(plain(last), wanted.last, wanted.last_noise)
    first, _ = layer.step(LAZY[kind](x[:, 0].contiguous()), state)
    assert_rounded(plain(first), wanted.out[:, 0], wanted.out_noise[:, 0])


@pytest.mark.skipif(modes.unavailable(torch.device("cpu"), torch.float32) is not None, reason="no compiler")
def test_the_compiled_version_itself_reads_values(layer):
    inputs = given(layer, drawn(0))
    x, decay, weight, skip, state = inputs
    views = LAZY["negative view"](x), decay.conj().resolve_conj().conj(), weight, LAZY["negative view"](skip), state
    for one, other in zip(modes.native(*views), modes.native(*inputs), strict=True):
        assert torch.equal(one, other)


def test_a_conjugated_state_and_zeros_without_memory_are_worked_out(layer):
    x, decay, weight, skip, state = given(layer, drawn(0))
    wanted = exact(x, decay, weight, skip, state.conj().resolve_conj())
    assert_rounded(layer.recurrent(x, state.conj())[0], wanted.out, wanted.out_noise)
    assert torch.equal(layer(torch._efficientzerotensor(x.shape)), torch.zeros_like(x))


@pytest.mark.parametrize("kind", LAYOUTS)
def test_what_has_no_element_for_every_index_is_refused(layer, kind):
    make, said = LAYOUTS[kind]
    with refused(f"input is {said}: a dense tensor is needed", TypeError):
        layer(make(drawn(0)))


@pytest.mark.parametrize("tracing", ["real", "fake", "symbolic"])
def test_a_traced_layer_computes_with_what_it_is_given(layer, tracing):
    graph = make_fx(layer, tracing_mode=tracing, _allow_non_fake_inputs=True)(drawn(0))
    assert torch.ops.ssm.modes.default in {node.target for node in graph.graph.nodes}
    assert_exact(layer, graph(drawn(1)), drawn(1))
    token = make_fx(lambda x, state: layer.step(x, state), tracing_mode=tracing, _allow_non_fake_inputs=True)
    x, state = drawn(1)[:, 0].contiguous(), layer.initial_state(2)
    assert_close(token(drawn(0)[:, 0].contiguous(), state)(x, state), layer.step(x, state))


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::torch.jit.TracerWarning")
def test_a_model_traced_by_torchscript_computes_with_what_it_is_given(bank):
    model = deployed(torch.nn.Sequential(bank, S4D(3, 4, generator=torch.Generator().manual_seed(1))), 9)
    file = io.BytesIO()
    torch.jit.save(torch.jit.trace(model, drawn(0)), file)
    file.seek(0)
    assert_close(torch.jit.load(file)(drawn(1)), model(drawn(1)))


@pytest.mark.filterwarnings("ignore")
def test_the_older_export_to_onnx_refuses_it(layer):
    pytest.importorskip("onnx")
    with pytest.raises(RuntimeError, match="ComplexFloat is an unexpected tensor scalar type"):
        torch.onnx.export(layer, (drawn(0),), io.BytesIO(), dynamo=False)


@pytest.mark.slow
def test_an_exported_layer_serves_any_length_and_trains(layer, bank):
    free = ({0: torch.export.Dim("B", min=2), 1: torch.export.Dim("T", min=2)},)
    exported = torch.export.export(layer, (drawn(0),), dynamic_shapes=free).module()
    assert_exact(layer, exported(x := drawn(1, 3, 80, 3)), x)
    x = drawn(1).requires_grad_()
    found, wanted = (torch.autograd.grad(run(x).square().sum(), x) for run in (exported, bank))
    assert_close(found, wanted)


@pytest.mark.slow
def test_a_compiled_layer_gives_the_same(layer, bank):
    torch._dynamo.reset()
    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")
    assert torch.equal(compiled(drawn(1)), layer(drawn(1)))
    x = drawn(1).requires_grad_()
    found, wanted = (torch.autograd.grad(run(x).square().sum(), x) for run in (compiled, bank))
    assert_close(found, wanted)
    token, state = drawn(1)[:, 0].contiguous(), layer.initial_state(2)
    step = torch.compile(layer.step, fullgraph=True, backend="aot_eager")
    assert_close(step(token, state), layer.step(token, state))


def test_transforms_of_functions_are_those_of_the_convolution(layer, bank):
    x, other = drawn(0), drawn(1)
    both = torch.stack([x, other])
    assert_close(torch.vmap(layer)(both), torch.stack([layer(x), layer(other)]))
    fixed = given(layer, x)[1:]
    seen = torch.vmap(lambda x: torch.ops.ssm.modes.default(x, *fixed)[0])(both)
    assert_close(seen, torch.stack([torch.ops.ssm.modes.default(one, *fixed)[0] for one in both]))
    wanted = torch.func.grad(lambda x: bank(x).square().sum())(x)
    assert_close(torch.func.grad(lambda x: layer(x).square().sum())(x), wanted)
    assert_close(torch.func.jvp(layer, (x,), (other,))[1], layer(other))
    with forward_ad.dual_level():
        made = forward_ad.make_dual(x, other)
        assert_close(forward_ad.unpack_dual(layer(made)).tangent, layer(other))
    assert_close(torch.func.functionalize(layer)(x), layer(x))


def test_under_a_mode_without_memory_there_are_shapes_alone(layer):
    """Each of these ended the process where a kernel read the address of a tensor without memory."""
    x = drawn(0)
    with FakeTensorMode(allow_non_fake_inputs=True):
        out, last = layer.recurrent(x)
        first, after = layer.step(x[:, 0], last)
    assert [one.shape for one in (out, last, first, after)] == [(2, 9, 3), (2, 3, 2), (2, 3), (2, 3, 2)]
    there = Recurrence(Modes.of(S4D(3, 4))).to("meta")
    assert there(x.to("meta")).is_meta
    assert modes.chunked(*(one.to("meta") for one in given(layer, x)))[0].is_meta
