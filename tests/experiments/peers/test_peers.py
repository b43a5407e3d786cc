"""Peers are held to the definition, and one that is wrong, fails or is not there says so."""

import importlib.util
import inspect
import sys
from functools import partial
from types import ModuleType

import pytest
import torch
from dummies import dummy

from lib import names
from lib.experiments import peers
from lib.experiments.ssm_scan_jobs import SMALL, inputs
from lib.models.ssm.scan import selective_scan_ref

CPU, CUDA = torch.device("cpu"), torch.device("cuda")
TENSORS = partial(inputs, (1, 5, 4, 3), 0, "cpu")


def right(*x):
    return selective_scan_ref(*x, delta_softplus=True)


class Scaled(torch.autograd.Function):
    """The identity, whose gradient is two percent too large."""

    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, grad):
        return 1.02 * grad


def test_a_peer_that_computes_the_definition_is_accepted():
    peers.verify(peers.of(right), TENSORS())


@pytest.mark.parametrize(
    ("scan", "told"),
    [
        (lambda *x: 1.001 * right(*x), "the output is off by 1.0e-03 of the largest value, 1e-04 is allowed"),
        (lambda *x: right(*x) * float("nan"), "the output is off by nan"),
        (lambda *x: right(*x)[..., :-1], r"the output is \(1, 4, 4\), not \(1, 4, 5\)"),
        (lambda u, *x: right(Scaled.apply(u), *x), "the gradient of u is off by 2.0e-02"),
        (lambda *x: right(*x[:-1], Scaled.apply(x[-1])), "the gradient of bias is off by 2.0e-02"),
    ],
)
def test_a_peer_that_computes_something_else_is_refused(scan, told):
    with pytest.raises(ValueError, match=told):
        peers.verify(peers.of(scan), TENSORS())


def test_wrong_gradients_do_not_matter_where_a_peer_claims_none():
    peers.verify(peers.of(lambda u, *x: right(Scaled.apply(u), *x), gradients=False), TENSORS())


@pytest.mark.parametrize("name", ["cpp", "torch", "transformers, fallback"])
def test_what_is_always_here_computes_the_definition(name):
    peers.verify(peers.load(name, CPU, wait=False), inputs(SMALL, 0, "cpu"))


@pytest.mark.slow
@pytest.mark.skipif(not importlib.util.find_spec("mambapy"), reason="make bench installs mambapy")
def test_mambapy_computes_the_definition():
    peers.verify(peers.load("transformers, mambapy", CPU, wait=False), inputs(SMALL, 0, "cpu"))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_the_associative_scan_is_traced_whole_and_computes_the_definition(monkeypatch):
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="eager"))  # what is compiled takes a minute
    peer = peers.load("transformers, compiled", CPU, wait=True)
    peers.verify(peer, TENSORS())
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] >= 1
    assert not peer.counted


@pytest.mark.parametrize(
    ("name", "device", "told"),
    [
        ("transformers, compiled", CPU, "left out: it compiles for a minute"),
        ("mamba_ssm", CPU, "it needs a CUDA device"),
        ("llama.cpp", CUDA, "only its CPU scan is compared"),
    ],
)
def test_an_absent_peer_says_why(name, device, told):
    with pytest.raises(peers.Absent, match=told):
        peers.load(name, device, wait=False)


@pytest.mark.parametrize(("package", "name"), [("mambapy", "transformers, mambapy"), ("mamba_ssm", "mamba_ssm")])
def test_a_peer_that_is_not_installed_says_so(package, name, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda one, *x: None if one == package else find(one, *x))
    with pytest.raises(peers.Absent, match=f"{package} is not installed"):
        peers.load(name, CUDA, wait=False)


@pytest.fixture
def installed(monkeypatch):
    """An install of mamba_ssm whose function is what a test says."""

    def install(function):
        path = ["mamba_ssm", "mamba_ssm.ops", "mamba_ssm.ops.selective_scan_interface"]
        for name in path:
            module = ModuleType(name)
            module.__path__, module.__spec__ = [], importlib.util.spec_from_loader(name, None)
            monkeypatch.setitem(sys.modules, name, module)
        module.selective_scan_fn = function

    return install


def test_an_install_of_mamba_ssm_without_its_kernel_fails_at_the_first_call(installed):
    def function(*x, **more):
        raise RuntimeError("selective_scan_cuda was not built")

    installed(function)
    peer = peers.load("mamba_ssm", CUDA, wait=False)
    with pytest.raises(RuntimeError, match="was not built"):
        peers.verify(peer, TENSORS())


def test_mamba_ssm_gets_each_channels_tokens_side_by_side(installed):
    seen = []

    def function(*x, **more):
        seen.extend(x)
        return right(*x)

    installed(function)
    peers.verify(peers.load("mamba_ssm", CUDA, wait=False), TENSORS())
    assert all(x.is_contiguous() for x in seen)
    assert not TENSORS()[0].is_contiguous()


def test_the_fallback_is_itself_where_mamba_ssm_is_installed():
    from lib.experiments.peers import transformers

    assert transformers.SCAN.__module__ == "transformers.models.mamba.modeling_mamba"
    assert not hasattr(transformers.SCAN, "__wrapped__")
    assert "for index in range(seq_len)" in inspect.getsource(transformers.SCAN)


def test_a_peer_is_one_file_and_one_row(tmp_path):
    text = "from lib.experiments import peers\n\ndef dummy(device, wait):\n    return peers.of(lambda *x: 2 * x[0])\n"
    with dummy("PEERS", peers, tmp_path, text):
        assert "dummy" in peers.everyone(CPU)
        with pytest.raises(ValueError, match="the output is off"):
            peers.verify(peers.load("dummy", CPU, wait=False), TENSORS())
    assert "dummy" not in peers.everyone(CPU)


def test_every_peer_has_a_name_of_its_own_that_is_no_backend():
    labels = peers.labels()
    assert len(labels) == len(names.PEERS)
    assert not labels.keys() & names.BACKENDS.keys()
