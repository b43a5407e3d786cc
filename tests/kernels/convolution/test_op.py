"""The convolution as an operator of torch, and a Mamba block that uses the kernels, emulated."""

from contextlib import contextmanager

import pytest
import torch
from convolutions import Problem, definition, errors
from emulation import NEEDED, emulated
from fake_cuda import pretended
from precision import SINGLE, assert_within
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils.flop_counter import FlopCounterMode

from lib.kernels.convolution import cuda, op
from lib.models.mrss.low_rate import LowRate
from lib.models.ssm.convolution import convolution_silu, halves_convolution_silu
from lib.models.ssm.mamba_block import MambaBlock, MambaConfig

CHECKS = ("test_schema", "test_autograd_registration", "test_faketensor", "test_aot_dispatch_dynamic")
OPERATORS = torch.ops.ssm.causal_convolution.default, torch.ops.ssm.causal_convolution_backward.default


@contextmanager
def on_kernels():
    """Inside, CPU tensors are served by the kernels, emulated."""
    with emulated(), pytest.MonkeyPatch.context() as patch:
        cuda._made.cache_clear()
        patch.setattr(cuda, "unavailable", lambda *_: None)
        patch.setattr(op, "DEVICE", "cpu")
        patch.setitem(op.KERNELS, "cpu", cuda)
        yield


def leaves(problem: Problem) -> tuple[list, torch.Tensor]:
    *inputs, grad = problem.inputs()
    return [one if one is None else one.detach().requires_grad_() for one in inputs], grad


@pytest.mark.slow
@pytest.mark.parametrize("problem", [Problem(), Problem(past=False, bias=False, taps=5)], ids=str)
def test_opcheck_finds_nothing(problem):
    inputs, grad = leaves(problem)
    torch.library.opcheck(OPERATORS[0], inputs, test_utils=CHECKS)
    given = [one if one is None else one.detach() for one in inputs]
    torch.library.opcheck(OPERATORS[1], (grad, *given), test_utils=CHECKS)


@pytest.mark.slow
@NEEDED
def test_opcheck_finds_nothing_where_the_kernels_serve():
    inputs, grad = leaves(Problem())
    with on_kernels():
        torch.library.opcheck(OPERATORS[0], inputs, test_utils=CHECKS)
        torch.library.opcheck(OPERATORS[1], (grad, *(one.detach() for one in inputs)), test_utils=CHECKS)


@pytest.mark.slow
def test_a_compiled_graph_holds_the_operator_and_gives_the_same():
    inputs, grad = leaves(Problem())
    compiled = torch.compile(lambda *given: OPERATORS[0](*given), backend="aot_eager", fullgraph=True)
    out = compiled(*inputs)
    found = {"out": out.detach()} | dict(
        zip(
            ("grad of x", "grad of past", "grad of weight", "grad of bias"),
            torch.autograd.grad(out, inputs, grad),
            strict=True,
        )
    )
    assert max(errors(found, definition(*inputs, grad)).values()) < 1e-5


def test_tensors_without_data_on_a_gpu_take_the_operator():
    with FakeTensorMode(), torch.inference_mode():
        both = torch.empty(2, 9, 16, device="cuda", dtype=torch.bfloat16)
        out, gate = halves_convolution_silu(both, torch.empty(8, 1, 4, device="cuda"), torch.empty(8, device="cuda"))
        assert (out.shape, out.dtype, out.device.type, out.is_contiguous()) == ((2, 9, 8), both.dtype, "cuda", True)
        assert gate.shape == (2, 9, 8)


def test_a_pretended_gpu_computes_the_same():
    inputs, grad = leaves(Problem(past=False))
    with pretended():
        there = [one if one is None else one.detach().to("cuda").requires_grad_() for one in inputs]
        x, _, weight, bias = there
        out, _ = halves_convolution_silu(torch.cat([x, x], dim=-1), weight, bias)
        assert "causal_convolution" in out.grad_fn.name()
        grads = [one.cpu() for one in torch.autograd.grad(out, [x, weight, bias], grad.to("cuda"))]
        found = {"out": out.detach().cpu()}
    found |= dict(zip(("grad of x", "grad of weight", "grad of bias"), grads, strict=True))
    assert max(errors(found, definition(*inputs, grad)).values()) < 1e-5


@pytest.mark.slow
@NEEDED
@pytest.mark.parametrize("taps", [1, 4])
def test_a_block_on_the_kernels_equals_a_block_in_torch_with_all_gradients_and_states(taps, generator):
    block = MambaBlock(MambaConfig(dim=8, layers=1, states=4, kernel=taps), generator=generator)
    x = torch.randn(2, 11, 8, generator=generator, requires_grad=True)
    of = [x, *block.parameters()]

    def all_of_it():
        first, state = block(x[:, :2], return_state=True)
        rest, last = block(x[:, 2:], state, return_state=True)
        results = [first, rest, *last]
        return results + list(torch.autograd.grad(sum(one.square().sum() for one in results), of))

    wanted = all_of_it()
    with on_kernels():
        found = all_of_it()
        assert "FirstHalf" in halves_convolution_silu(block.in_proj(x), block.conv1d.weight)[0].grad_fn.name()
    for one, other in zip(found, wanted, strict=True):
        if other.numel():  # a convolution of one tap has no state
            assert_within(one, other, SINGLE)


@pytest.mark.slow
@NEEDED
def test_a_low_rate_mixer_uses_the_kernels(generator):
    mixer = LowRate(MambaConfig(dim=8, layers=1, states=4), 2, 1, generator=generator)
    x = torch.randn(2, 9, 8, generator=generator)
    wanted = mixer(x)
    with on_kernels():
        assert_within(mixer(x), wanted, SINGLE)
        assert "Convolution" in convolution_silu(x.requires_grad_(), mixer.conv1d.weight).grad_fn.name()


@pytest.mark.slow
@NEEDED
def test_what_is_not_used_has_a_gradient_of_zeros(generator):
    both = torch.randn(1, 5, 8, generator=generator, requires_grad=True)
    weight = torch.randn(4, 1, 4, generator=generator)
    with on_kernels():
        out, gate = halves_convolution_silu(both, weight)
        (of_out,) = torch.autograd.grad(out.sum(), both, retain_graph=True)
        (of_gate,) = torch.autograd.grad(gate.sum(), both)
    assert of_out[..., 4:].eq(0).all()
    assert of_out[..., :4].ne(0).all()
    assert torch.equal(of_gate, torch.tensor([0.0] * 4 + [1.0] * 4).expand(1, 5, 8))


def test_tensors_on_several_devices_are_left_to_torch(monkeypatch):
    monkeypatch.setattr(cuda, "unavailable", lambda *_: None)
    x, weight = torch.empty(1, 3, 4), torch.empty(4, 1, 4)
    assert op.served(x, None, weight, None)
    assert not op.served(x, None, weight.to("meta"), None)


def test_a_counter_of_operations_finds_those_that_it_knows():
    def counted():
        (x, past, weight, bias), grad = leaves(Problem())
        with FlopCounterMode(display=False) as counter:
            torch.autograd.grad(convolution_silu(x, weight, bias, past), [x, weight], grad)
        return counter.get_total_flops()

    wanted = counted()
    with on_kernels():
        assert counted() == wanted > 0
