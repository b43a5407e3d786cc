"""H2-optimal modes: they interpolate at the mirrored poles, no search finds nearer ones, balanced truncation is behind.

The oracles are taps until nothing is left, and searches over decays, with weights by least squares on the taps.
"""

from itertools import product

import numpy as np
import pytest
import scipy.optimize
import torch
from banks import layer, normal, relative
from hypothesis import given, settings
from hypothesis import strategies as st
from refusals import refused
from systems import INITS
from torch import Tensor
from torch.testing import assert_close

from lib.models.distill.by_modes import balanced_truncation
from lib.models.distill.h2_optimal import Poles, h2_optimal
from lib.models.distill.modes import Modes, system
from lib.models.ssm.s4d import S4D

ALL = 2048  # taps, of kernels that are over by then
FAST = {"dt_min": 0.05, "dt_max": 0.3}  # steps of such kernels


def lost(model: S4D | Modes, module: Modes, taps: int = ALL) -> Tensor:
    """2-norm of the difference of two kernels, tap by tap."""
    return torch.linalg.vector_norm(model.kernel(taps) - module.kernel(taps), dim=1).detach()


def size(model: S4D | Modes) -> Tensor:
    return torch.linalg.vector_norm(model.kernel(ALL), dim=1).detach()


def nearest(kernel: np.ndarray, decays: list[complex]) -> float:
    """2-norm of what is left of a kernel by the best weights for these decays, a real column or two for each."""
    powers = np.power.outer(np.array(decays), np.arange(len(kernel)))
    columns = np.concatenate([powers.real, powers.imag[[one.imag != 0 for one in decays]]]).T
    return float(np.linalg.norm(kernel - columns @ np.linalg.lstsq(columns, kernel, rcond=None)[0]))


@pytest.mark.parametrize("order", [1, 2, 3, 7])
@pytest.mark.parametrize("init", INITS)
def test_the_error_over_all_lags_is_never_above_balanced_truncations(init, order):
    model = layer(init, discretisation="bilinear" if order == 2 else "zoh", **FAST)
    ours, theirs = (lost(model, method(model, order).module) for method in (h2_optimal, balanced_truncation))
    assert (ours <= theirs + 1e-7 * size(model)).all()
    if order == 2:
        assert (ours < 0.999 * theirs).any()


@pytest.mark.parametrize(
    ("init", "order"), [("inv", 1), ("real", 1), *((init, order) for init in INITS for order in (2, 3, 4))]
)
def test_values_and_derivatives_are_the_kernels_at_the_mirrored_poles(init, order):
    """By sums of taps: K(q), and K'(q), at the conjugates of the reduced decays; they are not elsewhere."""
    model = layer(init, **FAST)
    module = h2_optimal(model, order).module
    kernel, reduced, lags = model.kernel(ALL), module.kernel(ALL), torch.arange(ALL, dtype=torch.float64)
    for channel in range(3):
        used = module.weight()[channel] != 0
        points = module.decay()[channel, used].conj().unsqueeze(1).detach()
        for factor, back in ((torch.ones(ALL), 0), (lags, 1)):
            powers = factor * points ** (lags - back).clamp(min=0)
            wanted, found = ((powers * one[channel]).sum(1).detach() for one in (kernel, reduced))
            assert (wanted - found).abs().max() < 1e-6 * (powers.abs() * kernel[channel].abs()).sum(1).max()
            elsewhere = factor * (0.5 * points) ** (lags - back).clamp(min=0)
            gaps = (elsewhere * (kernel - reduced)[channel]).sum(1).abs()
            assert init == "real" or gaps.max() > 1e-6 * kernel[channel].abs().max()


@pytest.mark.slow
def test_rounds_settle_for_nearly_all_kernels():
    """By K'(q): of many initialisations rounds wander to their end for a few, 6 to 12 of 360 by the seed."""
    astray = total = 0
    for init, order in product(INITS, range(2, 7)):
        model = layer(init, dim=18, seed=2, **FAST)
        module = h2_optimal(model, order).module
        for channel in range(18):
            own, reduced = (Poles.of(*(x[channel : channel + 1] for x in system(one))) for one in (model, module))
            points = module.decay()[channel, module.weight()[channel] != 0].conj().detach()
            each = [one.weight.mT * one.decay.mT / (1 - one.decay.mT * points) ** 2 for one in (own, reduced)]
            wanted, found = (one.sum(0) for one in each)
            astray += bool((wanted - found).abs().max() > 1e-6 * each[0].abs().sum(0).max())
            total += 1
    assert astray < 0.03 * total


@pytest.mark.parametrize("seed", range(3))
def test_no_search_finds_a_nearer_real_mode(seed):
    model = layer("real", seed=seed, dim=2, **FAST)
    for channel, found in enumerate(lost(model, h2_optimal(model, 1).module, 1024)):
        kernel = model.kernel(1024)[channel].detach().numpy()
        grid = [nearest(kernel, [complex(one)]) for one in np.linspace(-0.995, 0.995, 1000)]
        assert found <= min(grid) * (1 + 1e-6)


@pytest.mark.parametrize("init", ["lin", "inv", "real"])
def test_no_search_around_finds_a_nearer_pair(init):
    """Nelder and Mead's search from the result goes nowhere; from a decay beside it, it comes back."""
    model = layer(init, dim=1, **FAST)
    module = h2_optimal(model, 2).module
    kernel = model.kernel(1024)[0].detach().numpy()
    decay = module.decay()[0].detach()
    found = lost(model, module, 1024).item()
    real = len(decay) == 2

    def error(x: np.ndarray) -> float:
        decays = [complex(x[0]), complex(x[1])] if real else [complex(x[0], x[1])]
        return nearest(kernel, decays) if max(map(abs, decays)) < 1 else 1e9

    start = decay.real.numpy() if real else np.array([decay[0].real, decay[0].imag])
    for begin in (start, start * 0.99):
        best = scipy.optimize.minimize(error, begin, method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-12})
        assert best.fun == pytest.approx(found, rel=1e-6)


def test_inner_products_are_those_of_all_taps():
    model, other = layer(**FAST), layer("legs", seed=1, **FAST)
    one, two = (Poles.of(*system(each)) for each in (model, other))
    assert_close(one.inner(two), (model.kernel(ALL) * other.kernel(ALL)).sum(1))
    assert_close(one.missed(two), (model.kernel(ALL) - other.kernel(ALL)).square().sum(1))


def test_fitted_weights_are_those_of_least_squares_over_all_taps():
    model = layer(dim=1, **FAST)
    decay = torch.tensor([[0.9 + 0.2j, 0.9 - 0.2j, 0.5]], dtype=torch.complex128)
    found = Poles.of(*system(model)).fitted(decay)
    taps = (found.weight.unsqueeze(2) * decay.unsqueeze(2) ** torch.arange(512)).sum(1)
    assert taps.imag.abs().max() < 1e-12
    left = torch.linalg.vector_norm(model.kernel(512).detach() - taps.real).item()
    assert left == pytest.approx(nearest(model.kernel(512)[0].detach().numpy(), [0.9 + 0.2j, 0.5 + 0j]), rel=1e-9)


@pytest.mark.parametrize("init", INITS)
def test_a_layer_that_uses_few_modes_is_found_again(init):
    model = layer(init, used=(1, 3))
    result = h2_optimal(model, 2 if init == "real" else 4, length=200)
    assert relative(result.module.kernel(400), model.kernel(400)) < 1e-6


def test_modes_are_reduced_once_more():
    """A bank of modes is a layer as an S4D is, and the same system gives the same result."""
    model = layer(**FAST)
    again, once = (h2_optimal(one, 4, length=50).module.kernel(50) for one in (Modes.of(model), model))
    assert relative(again, once) < 1e-6
    assert balanced_truncation(Modes.of(model), 4, length=50).error == pytest.approx(
        balanced_truncation(model, 4, length=50).error
    )


@settings(max_examples=10, deadline=None)
@given(
    init=st.sampled_from(INITS),
    pairs=st.integers(1, 4),
    order=st.integers(1, 6),
    seed=st.integers(0, 2**20),
    spread=st.sampled_from([0.0, 1.0, 4.0]),
    single=st.booleans(),
)
def test_any_layer_gives_a_stable_system_of_no_more_states(init, pairs, order, seed, spread, single):
    model = layer(init, states=2 * pairs, seed=seed, dtype=torch.float32 if single else torch.float64)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(spread * torch.randn(weight.shape, generator=generator))
    found = h2_optimal(model, min(order, 2 * pairs), length=64)
    assert all(value.isfinite().all() for value in found.module.state_dict().values())
    assert (found.module.decay().abs() < 1).all()
    assert (found.achieved <= found.order).all()


@pytest.mark.parametrize(
    ("call", "message", "error"),
    [
        (lambda: h2_optimal(layer(), 0), "order = 0: an integer from 1 to 16 is needed", ValueError),
        (lambda: h2_optimal(layer(), 17), "order = 17: an integer from 1 to 16 is needed", ValueError),
        (lambda: h2_optimal(layer("real"), 17), "order = 17: an integer from 1 to 16 is needed", ValueError),
        (lambda: h2_optimal(layer(), 2, length=0), "length = 0: an integer from 1 to 4194304 is needed", ValueError),
        (lambda: h2_optimal(normal(3, 20), 2), "layer is of type Tensor: a S4D is needed", TypeError),
    ],
)
def test_what_cannot_be_done_is_quoted(call, message, error):
    with refused(message, error):
        call()
