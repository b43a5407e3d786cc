"""Who is served by the convolution's C++ version, and who finds torch's own operators as without it."""

import os
import subprocess
import sys

import pytest
import torch
from convolutions import NAMES, Problem, definition, errors
from lazy_views import LAZY, plain
from precision import SINGLE, assert_within
from torch.autograd import forward_ad
from torch.fx.experimental.proxy_tensor import make_fx
from torch.utils.flop_counter import FlopCounterMode

from lib.kernels.convolution import cpp, op
from lib.models.mrss.low_rate import LowRate
from lib.models.ssm.convolution import convolution_silu, halves_convolution_silu
from lib.models.ssm.mamba_block import MambaBlock, MambaConfig
from lib.paths import ROOT

CPU = torch.device("cpu")
MISSING = cpp.unavailable(CPU, torch.float32, 1, 1)
needs_native = pytest.mark.skipif(MISSING is not None, reason=str(MISSING))


def whole(both, past, weight, bias):
    return convolution_silu(both.chunk(2, dim=-1)[0], weight, bias, past)


def halves(both, past, weight, bias):
    out, gate = halves_convolution_silu(both, weight, bias, past)
    return torch.cat([out, gate], dim=-1)


both_functions = pytest.mark.parametrize("function", [whole, halves], ids=lambda function: function.__name__)


def given(dtype: torch.dtype = torch.float32, **sizes) -> list:
    """A projection of two halves, past, weight and bias."""
    x, *others, _ = Problem(layout="whole", **sizes).inputs(dtype, dtype)
    return [torch.cat([x, x.flip(1)], dim=-1), *others]


def by_torch(run):
    """What a function gives without kernels."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(op, "served", lambda *_: False)
        return run()


def results(function, inputs, grad=lambda one: one) -> list:
    leaves = [one.detach().clone().requires_grad_() for one in inputs]
    out = function(*leaves)
    return [out.detach(), *torch.autograd.grad(out, leaves, grad(torch.linspace(-1, 1, out.numel()).view(out.shape)))]


@needs_native
@both_functions
def test_an_ordinary_call_is_served_and_differs_by_roundings(function):
    name = "FirstHalf" if function is halves else "Convolution"
    with pytest.MonkeyPatch.context() as patch:
        seen = []
        patch.setattr(cpp, "forward", lambda *inputs, run=cpp.forward: seen.append(name) or run(*inputs))
        patch.setattr(cpp, "backward", lambda *a, run=cpp.backward, **o: seen.append("backward") or run(*a, **o))
        found = results(function, given())
    assert seen == [name, "backward"]
    for one, other in zip(found, by_torch(lambda: results(function, given())), strict=True):
        assert_within(one, other, SINGLE)


@needs_native
@pytest.mark.parametrize(("changes", "why"), [({"taps": 5}, "5 taps: up to 4"), ({"dtype": torch.float64}, "float64")])
def test_what_is_not_served_is_said_and_is_computed_in_torch(changes, why):
    both, past, weight, bias = given(**changes)
    assert why in cpp.unavailable(CPU, both.dtype, 12, weight.shape[2])
    assert "Silu" in whole(both.requires_grad_(), past, weight, bias).grad_fn.name()
    assert "not on meta" in cpp.unavailable(torch.device("meta"), torch.float32, 12, 4)


@needs_native
@both_functions
@pytest.mark.parametrize("kind", LAZY)
def test_inputs_and_incoming_gradients_may_be_views_of_any_kind(function, kind):
    inputs = given()
    wanted = results(function, inputs)[0]
    with torch.no_grad():
        assert_within(plain(function(LAZY[kind](inputs[0]), *inputs[1:])), wanted, SINGLE)
    if kind in ("negated imaginary part", "negative view", "stepped"):
        for one, other in zip(results(function, inputs, LAZY[kind]), results(function, inputs), strict=True):
            assert torch.equal(one, other)


@both_functions
def test_a_gradient_without_strides_or_memory_is_one(function):
    inputs = given()
    out = torch.ones_like(function(*inputs))
    wanted = results(function, inputs, lambda _: out)
    for view in (lambda _: torch.ones(1, 1, 1).expand(out.shape), lambda _: out.mT.contiguous().mT):
        assert all(map(torch.equal, results(function, inputs, view), wanted))
    assert all(
        one.eq(0).all() for one in results(function, inputs, lambda _: torch._efficientzerotensor(out.shape))[1:]
    )


def test_what_is_not_used_has_a_gradient_of_zeros():
    both, past, weight, bias = given()
    out, gate = halves_convolution_silu(both.requires_grad_(), weight, bias, past)
    (of_out,) = torch.autograd.grad(out.sum(), both, retain_graph=True)
    (of_gate,) = torch.autograd.grad(gate.sum(), both)
    assert of_out[..., 12:].eq(0).all()
    assert of_out[..., :12].ne(0).all()
    assert torch.equal(of_gate, torch.tensor([0.0] * 12 + [1.0] * 12).expand(both.shape))


@both_functions
def test_batched_gradients_are_those_one_by_one(function):
    leaves = [one.requires_grad_() for one in given(length=5)]
    out = function(*leaves)
    grads = torch.linspace(-1, 1, 3 * out.numel()).view(3, *out.shape)
    found = torch.autograd.grad(out, leaves, grads, is_grads_batched=True, retain_graph=True)
    for i, grad in enumerate(grads):
        for one, other in zip(found, torch.autograd.grad(out, leaves, grad, retain_graph=True), strict=True):
            assert_within(one[i], other, SINGLE)


@both_functions
def test_transforms_are_those_of_torch(function):
    both, past, weight, bias = given(length=5)
    stacked = torch.stack([both, both.flip(1)])
    pairs = {
        "vmap": lambda: torch.vmap(lambda one: function(one, past, weight, bias))(stacked),
        "grad": lambda: torch.func.grad(lambda one: function(one, past, weight, bias).square().sum())(both),
        "jvp": lambda: torch.func.jvp(lambda one: function(one, past, weight, bias), (both,), (both.flip(1),))[1],
    }
    for name, run in pairs.items():
        assert torch.equal(run(), by_torch(run)), name


@both_functions
def test_forward_differentiation_and_a_trace_see_what_they_saw(function):
    inputs = given()

    def refused():
        with forward_ad.dual_level(), pytest.raises((RuntimeError, NotImplementedError)) as caught:
            function(forward_ad.make_dual(inputs[0], inputs[0].flip(1)), *inputs[1:])
        return str(caught.value)

    assert refused() == by_torch(refused)

    def targets():
        return [str(node.target) for node in make_fx(function)(*inputs).graph.nodes]

    assert targets() == by_torch(targets)
    assert not any("ssm" in target for target in targets())


@both_functions
def test_a_counter_of_operations_counts_the_same(function):
    def counted():
        leaves = [one.requires_grad_() for one in given()]
        with FlopCounterMode(display=False) as counter:
            function(*leaves).sum().backward()
        return counter.get_total_flops()

    assert counted() == by_torch(counted) > 0


@needs_native
@pytest.mark.parametrize("kind", ["block", "low-rate mixer"])
def test_a_mixer_has_the_gradients_of_one_in_double_precision(kind, generator):
    config = MambaConfig(dim=12, layers=1, states=4)
    mixer = MambaBlock(config, generator=generator) if kind == "block" else LowRate(config, 2, 1, generator=generator)
    x = torch.randn(2, 21, 12, generator=generator)
    found = []
    for dtype in (torch.float32, torch.float64):
        leaf = x.to(dtype).requires_grad_()
        out = mixer.to(dtype)(leaf)
        found.append([out, *torch.autograd.grad(out.square().sum(), [leaf, *mixer.parameters()])])
    for one, other in zip(*found, strict=True):
        assert_within(one.double(), other, SINGLE)


@needs_native
def test_the_operator_is_served_where_it_is_called_by_name():
    *inputs, grad = Problem().inputs()
    leaves = [one.detach().requires_grad_() for one in inputs]
    out = torch.ops.ssm.causal_convolution.default(*leaves)
    grads = torch.autograd.grad(out, leaves, grad)
    found = {"out": out.detach()} | {f"grad of {name}": one for name, one in zip(NAMES, grads, strict=True)}
    assert torch.equal(out, cpp.forward(*inputs))
    assert max(errors(found, definition(*inputs, grad)).values()) < 1e-5


@pytest.mark.slow
def test_without_a_compiler_torch_takes_over_with_one_warning(tmp_path):
    code = """
import torch, warnings
from lib.models.ssm.convolution import convolution_silu
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    for _ in range(2):
        out = convolution_silu(torch.full((1, 2, 1), 50.0), torch.ones(1, 1, 4))
print(out.flatten().tolist(), len(caught), *(str(w.message) for w in caught))
"""
    env = {**os.environ, "PATH": str(tmp_path), "CXX": "", "XDG_CACHE_HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], env=env, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(
        "[50.0, 100.0] 1 the convolution runs in torch, which is two to four times slower: no C++ "
    )
