"""The scan beside what else torch does to functions: transforms, modes, tracers, second derivatives."""

import sys
from types import SimpleNamespace

import pytest
import torch
from scans import Problem
from torch.autograd import forward_ad
from torch.func import grad, hessian, jvp, vjp, vmap
from torch.testing import assert_close
from torch.utils._python_dispatch import TorchDispatchMode

from lib import names
from lib.kernels.eager import eager, readable
from lib.kernels.scan import op
from lib.kernels.scan import torch as chunked
from lib.models.ssm.scan import selective_scan_fn

INPUTS = Problem(length=9).inputs()
U = INPUTS["u"]


def scan(u=U, **options):
    return selective_scan_fn(**INPUTS | {"u": u}, delta_softplus=True, **options)


def loss(u):
    return scan(u).square().sum()


def gradient():
    u = U.detach().requires_grad_()
    return torch.autograd.grad(loss(u), u)[0]


class Seen(TorchDispatchMode):
    """Names of the operators of ours that are called."""

    def __init__(self):
        super().__init__()
        self.names = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        if function.namespace == "ssm":
            self.names.append(function._schema.name.removeprefix("ssm::selective_scan"))
        return function(*args, **kwargs or {})


def test_functional_gradients_are_those_of_autograd():
    assert_close(grad(loss)(U), gradient())
    out, pull = vjp(loss, U)
    assert_close(pull(torch.ones_like(out))[0], gradient())


@pytest.mark.parametrize("function", [loss, grad(loss), vjp])
def test_vmap_is_refused_in_one_line(function):
    many = torch.stack([U] * 2)
    with pytest.raises(RuntimeError, match=r"^torch.vmap does not know the selective scan: put the examples into "):
        vmap(loss if function is vjp else function)(many)


@pytest.mark.limit(
    "ssm",
    "A second derivative of the selective scan, its vmap, and differentiation in forward mode",
    "Its backward pass is a kernel of its own, without a derivative. selective_scan_ref has them all, token by token.",
)
def test_a_second_derivative_is_refused():
    with pytest.raises(RuntimeError, match=r"^the selective scan can be differentiated once, not twice$"):
        grad(lambda u: grad(loss)(u).square().sum())(U)


def test_a_first_derivative_outside_of_another_transform_is_not_lost():
    assert_close(grad(lambda u: grad(lambda v: loss(u) * v)(torch.ones(())))(U), gradient())


def test_a_gradient_of_a_gradient_has_no_path_through_the_scan():
    u = U.detach().requires_grad_()
    (first,) = torch.autograd.grad(loss(u), u, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        first.sum().backward()
    with pytest.raises(RuntimeError):
        hessian(loss)(U)


def test_forward_differentiation_is_refused():
    with pytest.raises(NotImplementedError, match="forward mode AD"):
        jvp(loss, (U,), (U,))
    with forward_ad.dual_level(), pytest.raises(NotImplementedError, match="forward mode AD"):
        scan(forward_ad.make_dual(U, U))


def test_a_mode_sees_each_scan_as_one_operator():
    u = U.detach().requires_grad_()
    with Seen() as seen:
        scan()
        out = scan(u)
        (found,) = torch.autograd.grad(out.square().sum(), u)
    assert seen.names == ["", "_saving", "_backward"]
    assert torch.equal(found, gradient())


def test_a_mode_that_comes_in_the_backward_pass_sees_that_one():
    u = U.detach().requires_grad_()
    out = loss(u)
    with Seen() as seen:
        torch.autograd.grad(out, u)
    assert seen.names == ["_backward"]


def test_eager_calls_go_past_the_dispatcher(monkeypatch):
    def refuse(*_):
        raise AssertionError

    monkeypatch.setattr(torch.ops.ssm.selective_scan, "default", refuse)
    monkeypatch.setattr(torch.ops.ssm.selective_scan_saving, "default", refuse)
    gradient()
    with pytest.raises(AssertionError), Seen():
        scan()


def test_an_operator_called_by_itself_is_the_scan():
    inputs = [INPUTS[name] for name in ("u", "delta", "A", "B", "C", "D", "z", "delta_bias", "initial_state")]
    u = inputs[0] = U.detach().requires_grad_()
    out, last = torch.ops.ssm.selective_scan.default(*inputs, True, "auto")
    wanted, last_wanted = scan(return_last_state=True)
    assert torch.equal(out, wanted)
    assert torch.equal(last, last_wanted)
    assert torch.equal(torch.autograd.grad(out.square().sum(), u)[0], gradient())
    with torch.inference_mode():
        assert torch.equal(torch.ops.ssm.selective_scan.default(*inputs, True, "auto")[0], wanted)


def test_a_trace_keeps_the_operator_and_serves_other_lengths(tmp_path):
    def function(u, delta, A, B, C):
        return selective_scan_fn(u, delta, A, B, C, delta_softplus=True)

    def given(length):
        inputs = Problem(length=length).inputs()
        return tuple(inputs[name] for name in ("u", "delta", "A", "B", "C"))

    traced = torch.jit.trace(function, given(9))
    traced.save(str(tmp_path / "scan.pt"))
    loaded = torch.jit.load(tmp_path / "scan.pt")
    assert_close(loaded(*given(21)), function(*given(21)))


def test_who_may_read_a_tensor():
    x = torch.zeros(2)
    assert eager(x, None, torch.nn.Parameter(x))
    assert readable()
    with torch._subclasses.FakeTensorMode() as mode:
        fake = mode.from_tensor(x)
    assert not readable(fake)
    with Seen():
        assert readable(x)
        assert not eager(x)
    with forward_ad.dual_level():
        assert not eager(x)
    told = []
    vmap(lambda one: told.append(readable(one)) or one)(x)
    torch.jit.trace(lambda one: told.append(readable(one)) or one + 1, x, check_trace=False)
    torch.compile(lambda one: one + 1 if readable(one) else one - 1, backend="eager", fullgraph=True)(x)
    assert told == [False, False]
    assert torch.compile(lambda one: one + (1 if readable(one) else -1), backend="eager")(x).tolist() == [-1, -1]


def test_a_backend_that_tries_itself_out_is_not_misled_by_a_mode(monkeypatch):
    def unavailable(device, dtype):
        return None if torch.ones(2).sum().item() == 2 else "broken"

    own = SimpleNamespace(**{**vars(chunked), "unavailable": unavailable})
    monkeypatch.setitem(sys.modules, "lib.kernels.scan.own", own)
    monkeypatch.setattr(names, "BACKENDS", {"own": names.Method("own", "lib.kernels.scan.own", "of a test")})
    with torch._subclasses.FakeTensorMode():
        assert op.choose(torch.device("cpu"), torch.float32)[0] == "own"
