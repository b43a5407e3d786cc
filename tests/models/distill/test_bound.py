"""Balanced truncation keeps its bound at every frequency and over any number of taps; weights fitted to L taps do not.

H-infinity norms are taken on a grid that is dense around every mode. The oracle is the transfer function of the modes.
"""

import math

import pytest
import torch
from banks import layer
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file
from systems import INITS, RULES
from torch import Tensor

from lib.models.distill.by_modes import balanced_refit, balanced_truncation, error_over, hankel_singular_values
from lib.models.distill.modes import Modes, system
from lib.models.ssm.s4d import S4D
from lib.names import DISTILLED
from lib.paths import CHECKPOINTS

EPS = torch.finfo(torch.float64).eps
STEPS = {"slow": (1e-5, 1e-4), "usual": (1e-3, 1e-1), "fast": (1.0, 5.0)}


def modes_of(module: Modes) -> tuple[Tensor, Tensor]:
    return module.decay().detach(), torch.view_as_complex(module.C.detach())


def transfer(decay: Tensor, weight: Tensor, frequency: Tensor) -> Tensor:
    """Of Re(sum of weight decay^k), at frequencies (F,)."""
    z = torch.polar(torch.ones_like(frequency), -frequency).unsqueeze(1)
    both = ((decay, weight), (decay.conj(), weight.conj()))
    return sum((w / (1 - d * z)).sum(1) for d, w in both) / 2


def gap(one: tuple[Tensor, Tensor], other: tuple[Tensor, Tensor]) -> Tensor:
    """The largest difference of two systems of one channel over frequencies: H-infinity norm."""
    decay = torch.cat([one[0], other[0]])
    around = torch.linspace(-6, 6, 25, dtype=torch.float64)
    peaks = decay.angle().abs().unsqueeze(1) - decay.abs().clamp(min=1e-300).log().unsqueeze(1) * around
    frequency = torch.cat([torch.linspace(0, math.pi, 500, dtype=torch.float64), peaks.flatten().clamp(0, math.pi)])
    return (transfer(*one, frequency) - transfer(*other, frequency)).abs().max()


def rounding(states: int, *systems: tuple[Tensor, Tensor]) -> Tensor:
    """What four backward stable steps (QR, two eigenproblems, least squares) of N states change, to first order.

    Each moves a decay and a weight by N machine epsilons: |w| / (1 - |decay|)^2 and |w| / (1 - |decay|) of them.
    """
    off = 4 * states * EPS
    return sum(off * (w.abs() / (1 - d.abs()) * (1 + 1 / (1 - d.abs()))).sum() for d, w in systems)


def excess(model: S4D, order: int, method=balanced_truncation, length: int = 64) -> float:
    """How many times its bound a truncation of a layer errs, in the worst channel."""
    found, values = method(model, order, length=length), hankel_singular_values(model, length=length)
    worst = 0.0
    for own, reduced, dropped in zip(
        zip(*system(model), strict=True), zip(*modes_of(found.module), strict=True), values[:, order:], strict=True
    ):
        allowed = 2 * dropped.sum() + rounding(values.shape[1], own, reduced)
        worst = max(worst, (gap(own, reduced) / allowed).item())
    return worst


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("steps", STEPS.values(), ids=STEPS)
@pytest.mark.parametrize("init", INITS)
def test_every_initialisation_keeps_the_bound(init, steps, rule):
    generator = torch.Generator().manual_seed(0)
    model = S4D(2, 16, init, *steps, discretisation=rule, generator=generator).double()
    for order in (1, 2, 3, 5, 8, 12, 16):
        assert excess(model, order) <= 1


@pytest.mark.parametrize("init", INITS)
def test_large_layers_keep_the_bound(init):
    model = S4D(2, 64, init, generator=torch.Generator().manual_seed(1)).double()
    for order in (4, 16, 40):
        assert excess(model, order) <= 1


@settings(max_examples=40, deadline=None)
@given(
    pairs=st.integers(1, 8),
    order=st.integers(1, 16),
    seed=st.integers(0, 2**20),
    slowest=st.sampled_from([1e-6, 1e-3, 0.1, 2.0]),
    spread=st.sampled_from([1.0, 1e3]),
    reals=st.booleans(),
)
def test_any_stable_system_keeps_the_bound(pairs, order, seed, slowest, spread, reals):
    """Rates of decay between `slowest` and `spread` times as much, five at most; any frequency, any weight."""
    generator = torch.Generator().manual_seed(seed)
    model = S4D(1, 2 * pairs, "real" if reals else "lin", 1.0, 1.0, generator=generator).double()
    with torch.no_grad():
        rates = slowest * spread ** torch.rand(model.log_a_real.shape, generator=generator)
        model.log_a_real.copy_(rates.clamp(max=5).log())
        if not reals:
            model.a_imag.copy_(math.pi * torch.rand(model.a_imag.shape, generator=generator))
    assert excess(model, min(order, 2 * pairs)) <= 1


@pytest.mark.parametrize("task", DISTILLED)
def test_trained_layers_keep_the_bound(task):
    held = load_file(CHECKPOINTS / f"s4d_{task}.safetensors")
    few = S4D(2, 128).double()
    with torch.no_grad():
        for name, weight in few.named_parameters():
            weight.copy_(held[f"backbone.layers.3.mixer.s4d.{name}"][::40])
    for order in (2, 16, 64):
        assert excess(few, order) <= 1


def test_weights_fitted_to_a_few_taps_break_the_bound_and_err_beyond_them():
    model = S4D(4, 32, "legs", 1e-3, 1e-1, generator=torch.Generator().manual_seed(0)).double()
    assert excess(model, 16, length=1024) <= 1
    assert excess(model, 16, balanced_refit, length=64) > 10
    kept, fitted = (method(model, 16, length=64) for method in (balanced_truncation, balanced_refit))
    assert (fitted.error <= kept.error).all()  # on the taps that they were fitted to
    longer = [error_over(model, found, 8 * 64).max() for found in (kept, fitted)]
    assert longer[0] < 0.1 * longer[1]


@pytest.mark.parametrize("taps", [1, 7, 400])
def test_the_bound_holds_over_any_number_of_taps(taps):
    model = layer(init="legs")
    values = hankel_singular_values(model)
    for order in (4, 8, 12):
        module = balanced_truncation(model, order, length=50).module
        lost = torch.linalg.vector_norm(model.kernel(taps) - module.kernel(taps), dim=1)
        assert (lost <= 2 * values[:, order:].sum(1)).all()


def test_single_precision_adds_its_rounding_alone():
    double = layer(init="lin", states=16)
    single = layer(init="lin", states=16, dtype=torch.float32)
    one, other = (balanced_truncation(model, 6, length=200).module.kernel(200) for model in (double, single))
    assert (one - other).norm() < 1e-4 * one.norm()


def test_an_error_over_as_many_taps_is_the_one_that_was_measured():
    model = layer()
    found = balanced_refit(model, 4, length=100)
    assert torch.equal(error_over(model, found, 100), found.error)
