"""Every model under autocast, cast to half precision, and beside inputs of another precision, against float64."""

import copy

import pytest
import torch
from precision import assert_within
from refusals import refused
from torch import Tensor, nn

from lib.models.distill.by_taps import LowRankConvolution, SparseConvolution
from lib.models.distill.modes import Modes
from lib.models.distill.recurrence import Recurrence
from lib.models.mrss import dynamic, proxy
from lib.models.mrss.dual_branch import DualBranch
from lib.models.mrss.dynamic_rate import DynamicRate
from lib.models.mrss.low_rate import LowRate
from lib.models.mrss.sparse_gate import SparseGate
from lib.models.ssm.fft_convolution import CachedConvolution, CachedLowRank, causal_convolution
from lib.models.ssm.mamba import MambaBackbone, MambaClassifier, MambaConfig
from lib.models.ssm.mamba_block import MambaBlock
from lib.models.ssm.mixers import Scan
from lib.models.ssm.s4d import S4D
from lib.models.ssm.s4d_block import S4DBlock

SIZES = MambaConfig(6, layers=1, states=3)
HALVES = (torch.bfloat16, torch.float16)


def s4d(g, **options) -> S4D:
    return S4D(6, 8, generator=g, **options)


def normal(g, *shape) -> Tensor:
    return torch.randn(shape, generator=g)


FILTERS = {  # computed in single precision at least: the input and the output are all that is rounded
    "S4D": s4d,
    "S4D, real": lambda g: s4d(g, init="real", discretisation="bilinear"),
    "modes": lambda g: Modes.of(s4d(g)),
    "recurrence": lambda g: Recurrence(Modes.of(s4d(g))),
    "cached": lambda g: CachedConvolution(normal(g, 6, 9), 20, normal(g, 6)),
    "cached low rank": lambda g: CachedLowRank(normal(g, 9, 2), normal(g, 2, 6), 20, normal(g, 6)),
    "low rank": lambda g: LowRankConvolution(normal(g, 9, 2), normal(g, 2, 6), normal(g, 6)),
    "low rank, dense": lambda g: LowRankConvolution(normal(g, 9, 2), normal(g, 2, 6, 6), normal(g, 6)),
    "sparse": lambda g: SparseConvolution(torch.tensor([0, 4]), normal(g, 2, 6), normal(g, 6)),
    "sparse, dense": lambda g: SparseConvolution(torch.tensor([0, 4]), normal(g, 2, 6, 6), normal(g, 6)),
    "scan": lambda g: Scan(6, 3),
}
LAYERED = {  # torch's own layers multiply in half precision: so many stages, each rounded relative to its largest value
    "S4D block": (4, lambda g: S4DBlock(6, states=8, generator=g)),
    "Mamba block": (6, lambda g: MambaBlock(SIZES, generator=g)),
    "backbone": (8, lambda g: MambaBackbone(SIZES, generator=g)),
    "classifier": (
        12,
        lambda g: MambaClassifier(
            SIZES, 6, 6, pooling="none", mixers=[S4DBlock(6, states=8, generator=g)], generator=g
        ),
    ),
    "proxy": (6, lambda g: proxy.DualBranch(6, 2, 5, generator=g)),
    "dual": (14, lambda g: DualBranch(SIZES, (2,), generator=g)),
    "low rate": (14, lambda g: LowRate(SIZES, 2, 1, generator=g)),
    "dynamic": (20, lambda g: dynamic.spend(dynamic.Dynamic(SIZES, 2, 1, 1, 1.0, generator=g))),
    "sparse gate": (14, lambda g: dynamic.spend(SparseGate(SIZES, 2, 1.0, generator=g))),
    "dynamic rate": (14, lambda g: dynamic.spend(DynamicRate(SIZES, (1, 2), 1, 0.7, generator=g))),
}
MIXES = {  # of weights, of the input, of autocast
    "autocast": (torch.float32, torch.float32, True),
    "autocast behind a half layer": (torch.float32, None, True),
    "all half": (None, None, False),
    "half weights": (None, torch.float32, False),
    "half input": (torch.float32, None, False),
    "half weights under autocast": (None, torch.float32, True),
}


def steps(model: nn.Module, x: Tensor) -> Tensor:
    state, outputs = model.initial_state(len(x)), []
    for token in x.unbind(1):
        y, state = model.step(token, state)
        outputs.append(y)
    return torch.stack(outputs, dim=1)


def compared(model: nn.Module, mix: str, half: torch.dtype, stages: int, generator) -> Tensor:
    """Outputs and gradients of a model, and its steps, are those of float64 up to `stages` roundings; the output."""
    weights, given, cast = (half if one is None else one for one in MIXES[mix])
    model = model.to(weights)
    oracle, x = copy.deepcopy(model).double(), normal(generator, 2, 19, 6).to(given)
    with torch.autocast("cpu", half, enabled=cast is True):
        out = model(x)
        found = [out] + ([steps(model, x)] if hasattr(model, "step") else [])
    wanted, bound = oracle(x.double()).detach(), stages * torch.finfo(half).eps
    for one in found:
        assert one.dtype == out.dtype
        assert_within(one.detach().double(), wanted, bound, size=wanted.abs().max())
    if wanted_grads := [*oracle.parameters()]:
        scaled = torch.amp.GradScaler("cpu", init_scale=64.0).scale(out.float().square().mean())
        grads = torch.autograd.grad(scaled, [*model.parameters()], allow_unused=True)
        exact = torch.autograd.grad(64 * oracle(x.double()).square().mean(), wanted_grads, allow_unused=True)
        for weight, one, other in zip(model.parameters(), grads, exact, strict=True):
            assert one is None or one.dtype == weight.dtype
            if one is not None and other.abs().max() > 1e-3 * max(e.abs().max() for e in exact if e is not None):
                # Half of a sum's terms may be rounded alike: the bound is that of the sizes, not of the sum.
                assert_within(one.double(), other, 8 * bound, size=other.abs().max())
    return out


@pytest.mark.parametrize("half", HALVES, ids=str)
@pytest.mark.parametrize("mix", MIXES)
@pytest.mark.parametrize("name", FILTERS)
def test_filters_round_nothing_but_input_and_output(name, mix, half, generator):
    out = compared(FILTERS[name](generator), mix, half, 1, generator)
    given = MIXES[mix][1] or half
    assert out.dtype == given


@pytest.mark.parametrize("half", HALVES, ids=str)
@pytest.mark.parametrize("mix", [name for name in MIXES if name not in ("half weights", "half input")])
@pytest.mark.parametrize("name", LAYERED)
def test_layers_are_as_exact_as_their_products(name, mix, half, generator):
    stages, make = LAYERED[name]
    compared(make(generator), mix, half, stages, generator)


@pytest.mark.limit(
    "ssm",
    "A half-precision input of a float32 Mamba or S4D block, or the reverse, outside of torch.autocast",
    "Linear layers multiply one precision only. Cast the model or the input, or use torch.autocast.",
)
@pytest.mark.parametrize("mix", ["half weights", "half input"])
@pytest.mark.parametrize("name", sorted({*LAYERED} - {"proxy"}))
def test_linear_layers_refuse_another_precision_in_one_line(name, mix, generator):
    weights, given, _ = (torch.bfloat16 if one is None else one for one in MIXES[mix])
    model, x = LAYERED[name][1](generator).to(weights), torch.zeros(2, 4, 6, dtype=given)
    with refused(f"input of {given}: {weights} is needed, as in the parameters; torch.autocast mixes precisions"):
        model(x)
    with refused(f"input of {given}: {weights} is needed"):
        model.step(x[:, 0], model.initial_state(2))


@pytest.mark.parametrize("name", [*FILTERS, *LAYERED])
def test_a_model_made_in_double_precision_by_default_is_in_double_precision(name, generator):
    make = FILTERS[name] if name in FILTERS else LAYERED[name][1]
    try:
        torch.set_default_dtype(torch.float64)
        torch.manual_seed(0)
        model = make(generator)
        x = normal(generator, 2, 7, 6)
        out = model(x)
        assert out.dtype == torch.float64
        assert {one.dtype for one in model.state_dict().values() if one.is_floating_point()} == {torch.float64}
        if hasattr(model, "step"):
            assert_within(steps(model, x), out, 1e-12, size=out.abs().max())
    finally:
        torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("kind", [S4D, Modes, Recurrence], ids=lambda kind: kind.__name__)
def test_double_precision_mixes_with_no_other(kind, generator):
    layer = {"S4D": s4d, "Modes": FILTERS["modes"], "Recurrence": FILTERS["recurrence"]}[kind.__name__](generator)
    with refused("input of torch.float64: torch.float32 is needed, as in the parameters"):
        layer(torch.zeros(1, 2, 6, dtype=torch.float64))
    with refused("input of torch.bfloat16: torch.float64 is needed, as in the parameters"):
        layer.double()(torch.zeros(1, 2, 6, dtype=torch.bfloat16))
    with refused("input of torch.int64: torch.float64 is needed, as in the parameters"):
        layer(torch.zeros(1, 2, 6, dtype=torch.long))


@pytest.mark.parametrize("half", HALVES, ids=str)
def test_a_deployed_layer_cast_to_half_keeps_its_modes(half, generator):
    slow = Modes(torch.full((1, 1), 1 - 1e-4 + 0j), torch.ones(1, 1) + 0j, torch.zeros(1))  # in half precision: one
    layer = Recurrence(slow).to(half)
    assert layer.pairs.dtype == torch.float32
    out = layer(torch.ones(1, 500, 1, dtype=half))
    assert_within(out.double()[0, -1], (1 - (1 - 1e-4) ** 500) / torch.tensor([1e-4]).double(), torch.finfo(half).eps)


def test_a_transform_does_not_overflow_where_half_precision_would():
    x, kernel = torch.full((1, 64, 1), 3e4, dtype=torch.half), torch.zeros(1, 64, dtype=torch.half)
    kernel[0, 0] = 1
    out = causal_convolution(x, kernel)
    assert out.dtype == torch.half
    assert_within(out, x, torch.finfo(torch.half).eps)
