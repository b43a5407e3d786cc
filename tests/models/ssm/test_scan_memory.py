"""The scan reads values, not bytes: views that are not worked out yet, and memory of any kind, for every backend."""

import contextlib

import pytest
import torch
from emulation import NEEDED, emulated
from lazy_views import LAYOUTS, LAZY, plain
from precision import SINGLE, assert_within
from refusals import refused
from scans import FAST, Problem

from lib.models.ssm.scan import selective_scan_fn, selective_scan_ref, selective_scan_step

PROBLEM = Problem(length=5, states=4)
BACKENDS = (*FAST, "ref", pytest.param("cuda", marks=[NEEDED, pytest.mark.slow]))
every_backend = pytest.mark.parametrize("backend", BACKENDS)


def scanned(inputs: dict, backend: str) -> tuple[torch.Tensor, torch.Tensor]:
    with emulated() if backend == "cuda" else contextlib.nullcontext():
        return selective_scan_fn(**inputs, delta_softplus=True, return_last_state=True, backend=backend)


def defined(inputs: dict) -> tuple[torch.Tensor, torch.Tensor]:
    return selective_scan_ref(
        **{name: x.double() for name, x in inputs.items()}, delta_softplus=True, return_last_state=True
    )


@every_backend
@pytest.mark.parametrize("kind", LAZY)
def test_every_input_may_be_a_view_of_any_kind(kind, backend):
    inputs = PROBLEM.inputs()
    found = scanned({name: LAZY[kind](x) for name, x in inputs.items()}, backend)
    for one, wanted in zip(found, defined(inputs), strict=True):
        assert_within(plain(one).double(), wanted, SINGLE)


@every_backend
@pytest.mark.parametrize("name", ["u", "B", "D", "delta_bias", "initial_state", "z"])
def test_zeros_without_memory_are_zeros(name, backend):
    inputs = PROBLEM.inputs()
    found = scanned(inputs | {name: torch._efficientzerotensor(inputs[name].shape)}, backend)
    for one, wanted in zip(found, defined(inputs | {name: torch.zeros_like(inputs[name])}), strict=True):
        assert_within(one.double(), wanted, SINGLE)


@every_backend
@pytest.mark.parametrize("kind", ["negated imaginary part", "negative view", "stepped", "unaligned"])
def test_incoming_gradients_may_be_views_of_any_kind(kind, backend):
    inputs = {name: x.requires_grad_() for name, x in PROBLEM.inputs().items()}
    results = scanned(inputs, backend)
    given = [torch.randn(x.shape, generator=torch.Generator().manual_seed(i)) for i, x in enumerate(results)]
    with emulated() if backend == "cuda" else contextlib.nullcontext():
        wanted = torch.autograd.grad(results, [*inputs.values()], given, retain_graph=True)
        found = torch.autograd.grad(results, [*inputs.values()], [LAZY[kind](x) for x in given])
    for one, other in zip(found, wanted, strict=True):
        assert_within(one, other, SINGLE)


def test_a_step_reads_views_of_any_kind():
    inputs = Problem(length=1, states=4).inputs()
    wanted = selective_scan_ref(**inputs, delta_softplus=True)[..., 0]
    names = ("u", "delta", "B", "C", "z")
    given = {name: x[..., 0] if name in names else x for name, x in inputs.items()}
    for view in (LAZY["negated imaginary part"], LAZY["stepped"]):
        views = {name: view(x) for name, x in given.items()}
        out, _ = selective_scan_step(views.pop("initial_state"), **views, delta_softplus=True)
        assert_within(out, wanted, SINGLE)


@pytest.mark.limit(
    "ssm",
    "Sparse, compressed, nested and MKL-DNN tensors",
    "The kernels read one element after another. Make them dense or pad them.",
)
@pytest.mark.parametrize("kind", LAYOUTS)
@pytest.mark.parametrize("name", ["u", "B"])
def test_what_has_no_element_for_every_index_is_refused(name, kind):
    inputs, (make, said) = PROBLEM.inputs(), LAYOUTS[kind]
    x = inputs[name].squeeze(1).contiguous() if name == "B" else inputs[name].contiguous()
    with refused(f"{name} is {said}: a dense tensor is needed", TypeError):
        selective_scan_fn(**inputs | {name: make(x)})


def test_quantised_and_empty_tensors_are_refused():
    inputs = PROBLEM.inputs()
    with refused("u is torch.quint8: real floating-point tensors are needed"):
        selective_scan_fn(**inputs | {"u": _quantised(inputs["u"])})
    with refused("no axis may be empty"):
        selective_scan_fn(**{name: x[:0] if name not in ("A", "D", "delta_bias") else x for name, x in inputs.items()})


def _quantised(x: torch.Tensor) -> torch.Tensor:
    return torch._empty_affine_quantized(x.shape, scale=0.1, zero_point=0, dtype=torch.quint8)
