"""Few modes in place of a kernel: exact where it has no more, nearer with every mode, stable whatever is asked."""

import pytest
import torch
from banks import damped, layer, normal, relative
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from precision import assert_within
from refusals import refused
from systems import INITS, every_system
from torch.testing import assert_close

from lib.models.distill import hankel
from lib.models.distill.by_modes import balanced_refit, balanced_truncation, hankel_singular_values, modal
from lib.models.distill.modes import Modes
from lib.models.ssm.vandermonde import powers

METHODS = {"modal": modal, "balanced": balanced_truncation, "refitted": balanced_refit}
OF_BANKS = (balanced_truncation, balanced_refit)
every_method = pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
ORDERS = (2, 4, 6, 8, 12, 16)


@pytest.mark.parametrize(("pairs", "reals"), [(1, 0), (2, 0), (2, 1), (1, 2), (0, 1), (4, 0)])
def test_a_bank_of_so_many_states_is_found_again(pairs, reals):
    bank, order = damped(pairs=pairs, reals=reals, length=80), 2 * pairs + reals
    result = balanced_truncation(bank, order)
    assert result.error.max() < 1e-9
    assert relative(result.module.kernel(80), bank) < 1e-9
    assert result.achieved.tolist() == [order] * 3
    longer = damped(pairs=pairs, reals=reals, length=160)
    assert relative(result.module.kernel(160), longer) < 1e-8  # it goes on as they do


@every_method
@every_system
def test_a_layer_that_uses_few_modes_is_found_again(method, init, rule):
    model = layer(init, discretisation=rule, used=(1, 3, 4))
    order = 3 if init == "real" else 6
    result = method(model, order, length=200)
    assert result.error.max() < 1e-6
    assert relative(result.module.kernel(400), model.kernel(400)) < 1e-6
    assert result.achieved.tolist() == [order] * 3


@every_method
@pytest.mark.parametrize("init", INITS)
def test_an_order_beyond_what_a_layer_uses_changes_nothing(method, init):
    model = layer(init, used=(1, 3))
    result = method(model, 16 if init != "real" else 8, length=200)
    assert relative(result.module.kernel(200), model.kernel(200)) < 1e-6


@pytest.mark.parametrize("init", ["lin", "inv", "legs"])
def test_all_of_a_layers_modes_are_the_layer(init):
    model = layer(init)
    for method in METHODS.values():
        assert method(model, 16, length=200).error.max() < 1e-9


@pytest.mark.parametrize("init", INITS)
def test_every_mode_more_brings_a_kernel_nearer(init):
    errors = torch.stack([modal(layer(init), order, length=200).error for order in ORDERS])
    assert (errors[1:] <= errors[:-1] + 1e-9).all()
    assert (errors[0] <= 1).all()
    assert (errors[0] > 3 * errors[-1]).all()


def test_the_first_mode_chosen_is_the_best_of_all():
    model = layer()
    kernel, own, found = model.kernel(100).detach(), Modes.of(model).decay(), modal(model, 2, length=100)
    columns = torch.view_as_real(powers(own, 100)).permute(0, 3, 1, 2).detach()  # D 2 M L
    for channel in range(3):
        errors = []
        for mode in range(8):
            pair = columns[channel, :, mode].T
            best = pair @ torch.linalg.lstsq(pair, kernel[channel].unsqueeze(1)).solution
            errors.append((best.squeeze(1) - kernel[channel]).norm() / kernel[channel].norm())
        assert_close(found.error[channel], min(errors))


def test_weights_are_the_best_for_their_modes():
    model = layer()
    module = modal(model, 6, length=120).module
    lost = (model.kernel(120) - module.kernel(120)).square().sum()
    for gradient in torch.autograd.grad(lost, module.C):
        assert gradient.abs().max() < 1e-9


def test_modes_are_the_layers_own():
    model = layer()
    found, own = modal(model, 6, length=120).module.decay(), Modes.of(model).decay()
    for channel in range(3):
        distance = (found[channel].unsqueeze(1) - own[channel]).abs().amin(1)
        assert distance.max() < 1e-12
        assert len(set(found[channel].tolist())) == 3


@every_method
def test_steps_equal_the_convolution(method):
    module, x = method(layer(), 6, length=100).module, normal(2, 60, 3, seed=3)
    state, outputs = module.initial_state(2), []
    for token in x.unbind(1):
        y, state = module.step(token, state)
        outputs.append(y)
    assert_within(torch.stack(outputs, dim=1), module(x), 1e-12)


@every_method
@pytest.mark.parametrize("init", ["lin", "real"])
def test_single_precision_costs_single_precision(method, init):
    single, double = (method(layer(init, dtype=dtype), 6, length=300) for dtype in (torch.float32, torch.float64))
    assert single.module.skip.dtype == torch.float32
    assert_close(single.error, double.error, rtol=1e-4, atol=1e-5)
    assert torch.equal(single.achieved, double.achieved)
    assert single.bytes * 2 == double.bytes


def test_channels_with_fewer_states_are_padded():
    bank = torch.cat([damped(dim=2, pairs=3), damped(dim=1, pairs=1), torch.zeros(1, 60)])
    result = balanced_truncation(bank, 6)
    assert result.achieved.tolist() == [6, 6, 2, 0]
    assert result.error.max() < 1e-9
    assert not result.module.kernel(60)[3].any()
    assert result.parameters == 4 * 4 * 3  # decay and weight, a complex number each
    assert result.bytes == 8 * result.parameters


def test_a_mode_that_is_real_counts_one_state():
    model = layer()
    with torch.no_grad():
        model.a_imag[:, 0] = 0
        model.C[:, 1:] = 0
    result = modal(model, 2, length=100)
    assert result.achieved.tolist() == [1] * 3
    assert result.error.max() < 1e-12


def test_the_skip_is_kept():
    model = layer()
    assert torch.equal(modal(model, 4, length=50).module.skip, model.skip)
    assert not balanced_truncation(damped(), 2).module.skip.any()


@pytest.mark.parametrize("size", [1e-300, 1e-30, 1e30, 1e150])
def test_the_size_of_a_kernel_does_not_matter(size):
    bank = normal(3, 40)
    assert_close(balanced_truncation(bank * size, 4).error, balanced_truncation(bank, 4).error, rtol=1e-6, atol=0)


def test_without_the_mirror_some_orders_grow():
    """What the projection is for: of noise, Kung's modes leave the unit circle."""
    outside = 0
    for seed in range(20):
        matrix, shifted, first = hankel.hankel(normal(24, seed=seed))
        u, s, v = torch.linalg.svd(matrix)
        root = s[:6].sqrt()
        advance = (u[:, :6].T @ shifted @ v[:6].T) / (root * root.unsqueeze(1))
        outside += int(torch.linalg.eigvals(advance).abs().max() > 1)
        assert hankel.decays(hankel.realised(matrix, shifted, first, 6)[0]).abs().max() < 1
    assert outside >= 5


@settings(max_examples=60, deadline=None)
@given(
    kernel=arrays.arrays("float64", st.tuples(st.integers(1, 3), st.integers(2, 24)), elements=st.floats(-1e30, 1e30)),
    order=st.integers(1, 12),
    single=st.booleans(),
)
def test_any_bank_gives_a_stable_system_that_is_nearer_than_nothing(kernel, order, single):
    bank = torch.from_numpy(kernel).to(torch.float32 if single else torch.float64)
    one, other = (method(bank, min(order, bank.shape[1] // 2)) for method in OF_BANKS)
    assert_sound(one, bank.shape[1], single)
    assert torch.equal(one.module.C, other.module.C)  # a bank has nothing but its taps to fit weights to


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(
    init=st.sampled_from(INITS),
    pairs=st.integers(1, 6),
    length=st.integers(1, 80),
    order=st.integers(2, 12),
    seed=st.integers(0, 2**20),
    spread=st.sampled_from([0.0, 1.0, 5.0]),
    single=st.booleans(),
)
def test_any_layer_gives_a_stable_system_that_is_nearer_than_nothing(init, pairs, length, order, seed, spread, single):
    model = layer(init, states=2 * pairs, seed=seed, dtype=torch.float32 if single else torch.float64)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(spread * torch.randn(weight.shape, generator=generator))
    for method in METHODS.values():
        nearer = method is not balanced_truncation  # which has a bound over all lags, and none over a few
        assert_sound(method(model, min(order, 2 * pairs), length=length), length, single, nearer)
    assert hankel_singular_values(model, length=length).isfinite().all()


def assert_sound(result, length: int, single: bool, nearer: bool = True) -> None:
    module = result.module
    assert all(value.isfinite().all() for value in module.state_dict().values())
    assert (module.decay().abs() < 1).all()
    assert module.kernel(4 * length).isfinite().all()
    assert not nearer or (result.error <= 1 + (1e-2 if single else 1e-6)).all()
    assert (result.achieved <= result.order).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: balanced_truncation(damped(length=20), 0), "order = 0: an integer from 1 to 10 is needed"),
        (lambda: balanced_truncation(damped(length=20), 11), "order = 11: an integer from 1 to 10 is needed"),
        (lambda: balanced_truncation(damped(length=20), 2.5), "order = 2.5: an integer from 1 to 10 is needed"),
        (lambda: balanced_truncation(layer(), 17), "order = 17: an integer from 1 to 16 is needed"),
        (lambda: modal(layer(), 1), "order = 1: an integer from 2 to 16 is needed"),
        (lambda: modal(layer(), 17), "order = 17: an integer from 2 to 16 is needed"),
        (lambda: modal(layer("real"), 0), "order = 0: an integer from 1 to 16 is needed"),
        (lambda: modal(layer(), 4, length=0), "length = 0: an integer from 1 to 4194304 is needed"),
        (
            lambda: balanced_truncation(torch.ones(3, 1), 1),
            "kernel of shape (3, 1): (D, L) with D >= 1 and L >= 2 is",
        ),
        (lambda: balanced_truncation(torch.ones(3, 0), 1), "kernel of shape (3, 0): (D, L) with D >= 1 and L >= 1 is"),
        (lambda: balanced_truncation(torch.full((3, 9), torch.nan), 1), "kernel: all of its values must be finite"),
    ],
)
def test_what_cannot_be_done_is_quoted(call, message):
    with refused(message):
        call()


@every_method
def test_a_layer_that_is_not_finite_is_refused(method):
    model = layer()
    with torch.no_grad():
        model.C[0, 0] = torch.nan
    with refused("kernel: all of its values must be finite"):
        method(model, 4)
