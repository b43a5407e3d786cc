"""S4D's two views against each other, and both against dense matrices, scipy's systems and closed forms."""

import math
import re

import numpy as np
import pytest
import scipy.linalg
import scipy.signal
import torch
from torch.testing import assert_close

from lib.models import s4d
from lib.models.s4d import S4D, causal_convolution, hippo_legs, initial_eigenvalues

INITS = ("lin", "inv", "legs", "real")
RULES = ("zoh", "bilinear")
TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-10}  # relative to the largest output

every_system = pytest.mark.parametrize(("init", "rule"), [(init, rule) for init in INITS for rule in RULES])


def system(init="lin", rule="zoh", dim=3, states=8, dtype=torch.float64, **options):
    options.setdefault("generator", torch.Generator().manual_seed(1))
    return S4D(dim, states, init, discretisation=rule, **options).to(dtype)


def without_skip(model: S4D) -> S4D:
    """At first the skip is most of the output: agreement has to be shown of the rest."""
    torch.nn.init.zeros_(model.skip)
    return model


def assert_within(actual, expected, tolerance):
    assert (actual.shape, actual.dtype) == (expected.shape, expected.dtype)
    assert (actual - expected).abs().max() <= tolerance * expected.abs().max()


def dense(model: S4D, channel: int):
    """A, B, C and the step of one channel as real matrices: a block [[re, -im], [im, re]] for each pair."""
    real = -model.log_a_real[channel].detach().exp().numpy()
    output = model.C[channel].detach().numpy()
    dt = model.log_dt[channel].detach().exp().item()
    if model.a_imag is None:
        return np.diag(real), np.ones((len(real), 1)), output[None], dt
    imag = model.a_imag[channel].detach().numpy()
    A = scipy.linalg.block_diag(*(np.array([[re, -im], [im, re]]) for re, im in zip(real, imag, strict=True)))
    B = np.tile([[1.0], [0.0]], (len(real), 1))
    return A, B, 2 * (output * [1, -1]).reshape(1, -1), dt


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("length", [1, 2, 17, 256, 1024])
@every_system
def test_the_convolution_is_the_recurrence(init, rule, length, dtype, generator):
    model = without_skip(system(init, rule, states=64, dtype=dtype))
    x = torch.randn(2, length, 3, dtype=dtype, generator=generator)
    with torch.no_grad():
        assert_within(model(x), model.recurrent(x)[0], TOLERANCE[dtype])


@every_system
def test_the_views_do_not_drift_apart_where_decay_is_slowest(init, rule, generator):
    model = without_skip(system(init, rule, states=64, dtype=torch.float32, dt_min=1e-3, dt_max=1e-3))
    x = torch.randn(1, 4096, 3, generator=generator)
    with torch.no_grad():
        assert_within(model(x), model.recurrent(x)[0], 4e-6)


def test_the_response_to_an_impulse_is_the_kernel_and_the_skip():
    model = system()
    impulse = torch.zeros(1, 10, 3, dtype=torch.float64)
    impulse[:, 0] = 1
    for y in (model(impulse), model.recurrent(impulse)[0]):
        assert_close(y[0, 1:], model.kernel(10).T[1:])
        assert_close(y[0, 0], model.kernel(10)[:, 0] + model.skip)


@every_system
def test_the_views_have_the_same_gradients(init, rule, generator):
    model = system(init, rule)
    x = torch.randn(2, 20, 3, dtype=torch.float64, generator=generator, requires_grad=True)
    weight = torch.randn(2, 20, 3, dtype=torch.float64, generator=generator)
    wanted = [x, *model.parameters()]
    convolved = torch.autograd.grad((weight * model(x)).sum(), wanted)
    recurred = torch.autograd.grad((weight * model.recurrent(x)[0]).sum(), wanted)
    for one, other in zip(convolved, recurred, strict=True):
        assert_within(one, other, 1e-10)


@every_system
def test_step_after_step_is_the_recurrence(init, rule, generator):
    model = system(init, rule)
    x = torch.randn(2, 9, 3, dtype=torch.float64, generator=generator)
    state, outputs = model.initial_state(2), []
    for t in range(9):
        y, state = model.step(state, x[:, t])
        outputs.append(y)
    expected, last = model.recurrent(x)
    assert_close(torch.stack(outputs, dim=1), expected)
    assert_close(state, last)


@every_system
def test_a_carried_state_continues_the_sequence(init, rule, generator):
    model = system(init, rule)
    x = torch.randn(2, 30, 3, dtype=torch.float64, generator=generator)
    head, state = model.recurrent(x[:, :11])
    tail, _ = model.recurrent(x[:, 11:], state)
    assert_within(torch.cat([head, tail], dim=1), model(x), 1e-10)


@pytest.mark.parametrize("init", INITS)
def test_the_held_kernel_is_that_of_the_dense_matrix_exponential(init):
    model = system(init)
    kernel = model.kernel(13).detach().numpy()
    for channel in range(3):
        A, B, C, dt = dense(model, channel)
        held = scipy.linalg.expm(dt * np.block([[A, B], [np.zeros((1, len(A) + 1))]]))[: len(A), len(A) :]
        expected = [(C @ scipy.linalg.expm(k * dt * A) @ held).item() for k in range(13)]
        np.testing.assert_allclose(kernel[channel], expected, rtol=1e-10, atol=1e-12 * np.abs(expected).max())


@every_system
def test_the_kernel_is_scipys_impulse_response(init, rule):
    model = system(init, rule)
    A, B, C, dt = dense(model, channel=1)
    # Only scipy's A and B: its bilinear rule moves half a step into C and D, ours into the time of the state.
    decay, gain, *_ = scipy.signal.cont2discrete((A, B, C, np.zeros((1, 1))), dt, method=rule)
    _, (response,) = scipy.signal.dimpulse((decay, gain, C, np.zeros((1, 1)), dt), n=41)
    expected = response[1:, 0]  # scipy's state takes an input in one step later
    kernel = model.kernel(40)[1].detach().numpy()
    np.testing.assert_allclose(kernel, expected, rtol=1e-9, atol=1e-12 * np.abs(expected).max())


@pytest.mark.parametrize("length", [1, 2, 3, 5, 16, 33])
def test_a_kernel_starts_with_every_shorter_one(length):
    model = system()
    assert_close(model.kernel(length), model.kernel(100)[:, :length])


@every_system
def test_a_kernel_in_single_precision_is_that_of_double_precision_rounded(init, rule):
    model = system(init, rule, states=64, dtype=torch.float32)
    single = model.kernel(4096).double()
    assert_within(single, model.double().kernel(4096), 5e-5)  # what rounding A_bar costs


def test_a_convolution_is_the_written_out_sum(generator):
    x = torch.randn(2, 9, 3, dtype=torch.float64, generator=generator)
    for taps in (1, 4, 9, 12):
        kernel = torch.randn(3, taps, dtype=torch.float64, generator=generator)
        expected = torch.zeros_like(x)
        for t in range(9):
            for lag in range(min(taps, t + 1)):
                expected[:, t] += kernel[:, lag] * x[:, t - lag]
        assert_close(causal_convolution(x, kernel), expected)


def test_linear_eigenvalues_are_the_papers():
    expected = [-0.5, -0.5 + math.pi * 1j, -0.5 + 2 * math.pi * 1j]
    assert_close(initial_eigenvalues("lin", 6), torch.tensor(expected, dtype=torch.complex128))


def test_inverse_eigenvalues_are_the_papers():
    expected = [-0.5 + 12 / math.pi * 1j, -0.5 + 4 / (3 * math.pi) * 1j]  # (N/pi) (N - 1) and (N/pi) (N/3 - 1), N = 4
    assert_close(initial_eigenvalues("inv", 4), torch.tensor(expected, dtype=torch.complex128))


def test_real_eigenvalues_are_the_negative_integers():
    assert initial_eigenvalues("real", 5).tolist() == [-1, -2, -3, -4, -5]


def test_legs_eigenvalues_are_the_closed_forms_of_two_and_four_states():
    assert initial_eigenvalues("legs", 2).tolist() == pytest.approx([-0.5 + 0.75**0.5 * 1j])
    # An antisymmetric 4 x 4 matrix has eigenvalues i mu with mu^4 - total mu^2 + pfaffian^2 = 0, where total is the
    # sum of the squared entries above the diagonal.
    total, pfaffian = 86 / 4, 105**0.5 / 4
    spread = (total**2 - 4 * pfaffian**2) ** 0.5
    expected = [-0.5 + ((total + sign * spread) / 2) ** 0.5 * 1j for sign in (-1, 1)]
    assert initial_eigenvalues("legs", 4).tolist() == pytest.approx(expected)


@pytest.mark.parametrize("states", [2, 8, 64])
def test_legs_eigenvalues_are_those_of_the_dense_normal_part(states):
    A = hippo_legs(states)[0].numpy()
    P = np.sqrt(np.arange(states) + 0.5)
    normal = A + np.outer(P, P)
    np.testing.assert_allclose(normal + normal.T, -np.eye(states), atol=1e-12)
    found = scipy.linalg.eigvals(normal)
    found = found[found.imag > 0]
    ours = initial_eigenvalues("legs", states).numpy()
    np.testing.assert_allclose(ours, found[np.argsort(found.imag)], rtol=1e-10)
    assert set(ours.real) == {-0.5}


def test_hippo_legs_is_the_papers_matrix():
    A, B = hippo_legs(3)
    assert_close(A, -torch.tensor([[1, 0, 0], [3**0.5, 2, 0], [5**0.5, 15**0.5, 3]], dtype=torch.float64))
    assert_close(B.square(), torch.tensor([1, 3, 5], dtype=torch.float64))


@pytest.mark.parametrize("init", INITS)
def test_a_channel_starts_at_the_eigenvalues_of_its_name(init):
    model = system(init, dim=2, states=16)
    a = initial_eigenvalues(init, 16)
    for channel in range(2):
        assert_close(-model.log_a_real[channel].exp(), a.real, rtol=1e-6, atol=0)
        imag = torch.zeros(16) if model.a_imag is None else model.a_imag[channel]
        assert_close(imag.double(), a.imag, rtol=1e-6, atol=1e-6)


def test_steps_start_between_their_bounds():
    steps = system(dim=500, states=2, dt_min=0.01, dt_max=0.02).log_dt.exp()
    assert 0.01 - 1e-6 < steps.min() < 0.0105
    assert 0.0195 < steps.max() < 0.02 + 1e-6


@pytest.mark.parametrize("init", ["lin", "real"])
def test_output_weights_start_with_unit_variance(init):
    model = system(init, dim=2000)
    squares = model.C.square() if init == "real" else model.C.square().sum(-1)
    assert squares.mean().item() == pytest.approx(1, abs=0.05)


@every_system
def test_a_later_input_gives_a_later_output(init, rule, generator):
    model = system(init, rule)
    x = torch.randn(2, 30, 3, dtype=torch.float64, generator=generator)
    shifted = torch.cat([torch.zeros_like(x[:, :7]), x[:, :-7]], dim=1)
    assert_within(model(shifted)[:, 7:], model(x)[:, :-7], 1e-12)
    assert model(shifted)[:, :7].abs().max() < 1e-12


@every_system
def test_no_output_depends_on_a_later_input(init, rule, generator):
    model = system(init, rule)
    x = torch.randn(1, 20, 3, dtype=torch.float64, generator=generator)
    for t in (1, 10, 19):
        other = x.clone()
        other[:, t:] = torch.randn(1, 20 - t, 3, dtype=torch.float64, generator=generator)
        assert_close(model(other)[:, :t], model(x)[:, :t], rtol=0, atol=1e-12)
        assert torch.equal(model.recurrent(other)[0][:, :t], model.recurrent(x)[0][:, :t])
        assert not torch.isclose(model(other)[:, t], model(x)[:, t]).any()


def test_a_channel_sees_no_other(generator):
    model = system()
    x = torch.randn(1, 12, 3, dtype=torch.float64, generator=generator)
    other = x.clone()
    other[..., 1] += 1
    same = torch.isclose(model(other), model(x), rtol=0, atol=1e-12).all(dim=1)
    assert same.tolist() == [[True, False, True]]


@pytest.mark.parametrize("view", ["convolution", "recurrence"])
@every_system
def test_every_weight_learns(init, rule, view, generator):
    model = system(init, rule, dtype=torch.float32)
    x = torch.randn(1, 64, 3, generator=generator)
    y = model(x) if view == "convolution" else model.recurrent(x)[0]
    y.square().sum().backward()
    assert all(weight.grad.isfinite().all() for weight in model.parameters())
    # S4D-Lin's first eigenvalue is real, so the imaginary part of its C does not reach the output yet.
    silent = {name: int((weight.grad == 0).sum()) for name, weight in model.named_parameters()}
    assert {name: count for name, count in silent.items() if count} == ({"C": 3} if init == "lin" else {})


@every_system
def test_a_long_kernel_is_finite_and_dies_away(init, rule):
    with torch.no_grad():
        model = system(init, rule, states=16, dtype=torch.float32)
        kernel = model.kernel(65536).abs()
        assert kernel.isfinite().all()
        assert (kernel[:, -1024:].amax(1) < 1e-6 * kernel[:, :1024].amax(1)).all()
        assert model(torch.ones(1, 65536, 3)).isfinite().all()


@pytest.mark.parametrize("init", INITS)
def test_no_real_part_makes_a_system_unstable(init):
    model = system(init)
    with torch.no_grad():
        for extreme in (-20.0, 0.0, 20.0):
            model.log_a_real.fill_(extreme)
            assert model.kernel(4096).isfinite().all()
            assert model.kernel(4096).abs().amax() <= 1.01 * 2 * 8 * model.C.abs().amax() * model.log_dt.exp().amax()


def test_double_precision_reaches_the_state():
    assert system(dtype=torch.float32).initial_state(2).dtype == torch.complex64
    assert system(dtype=torch.float64).initial_state(2).dtype == torch.complex128
    assert system("real", dtype=torch.float32).initial_state(2).dtype == torch.float32


def test_a_state_holds_as_many_real_numbers_for_every_init():
    sizes = {init: system(init).initial_state(2) for init in INITS}
    assert {name: state.numel() * (2 if state.is_complex() else 1) for name, state in sizes.items()} == dict.fromkeys(
        INITS, 2 * 3 * 8
    )


def test_the_seed_decides_the_weights():
    first, second = (system(generator=torch.Generator().manual_seed(7)) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    other = system(generator=torch.Generator().manual_seed(8))
    assert not torch.equal(first.C, other.C)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"init": "hippo"}, "init = 'hippo': one of lin, inv, legs, real"),
        ({"rule": "euler"}, "discretisation = 'euler': one of zoh, bilinear"),
        ({"states": 7}, "states = 7: init 'lin' holds conjugate pairs, an even number"),
        ({"states": 0}, "states = 0: at least 1"),
        ({"dim": 0}, "dim = 0: at least 1"),
        ({"dt_min": 0.2}, "dt_min = 0.2, dt_max = 0.1: 0 < dt_min <= dt_max"),
        ({"dt_min": 0.0}, "dt_min = 0.0, dt_max = 0.1: 0 < dt_min <= dt_max"),
    ],
)
def test_a_wrong_choice_is_refused_by_name(options, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        system(**options)


def test_an_odd_number_of_real_states_is_fine():
    assert system("real", states=7).kernel(3).shape == (3, 3)


@pytest.mark.parametrize("shape", [(2, 5, 4), (2, 0, 3), (0, 5, 3)])
def test_a_wrong_input_is_refused_with_both_shapes(shape):
    model = system()
    for view in (model, model.recurrent):
        with pytest.raises(ValueError, match=re.escape(f"input of shape {shape}: (B, T, 3) with B >= 1 and T >= 1")):
            view(torch.zeros(shape, dtype=torch.float64))


def test_a_wrong_token_is_refused_with_both_shapes():
    model = system()
    with pytest.raises(ValueError, match=re.escape("input of shape (2, 4): (B, 3) with B >= 1 is needed")):
        model.step(system(dim=4).initial_state(2), torch.zeros(2, 4, dtype=torch.float64))


def test_a_wrong_state_is_refused_with_both_shapes():
    x, state = torch.zeros(2, 5, 3, dtype=torch.float64), torch.zeros(2, 3, 8, dtype=torch.complex128)
    for call in (lambda: system().recurrent(x, state), lambda: system().step(state, x[:, 0])):
        with pytest.raises(ValueError, match=re.escape("state of shape (2, 3, 8): (2, 3, 4) is needed")):
            call()


def test_an_input_of_another_precision_is_refused():
    with pytest.raises(ValueError, match=r"input of torch.float32: torch.float64 is needed"):
        system()(torch.zeros(1, 4, 3))


@pytest.mark.parametrize("call", [lambda: system().kernel(0), lambda: s4d.hippo_legs(0)])
def test_an_empty_kernel_or_matrix_is_refused(call):
    with pytest.raises(ValueError, match=r"(length|states) = 0: at least 1"):
        call()


def test_a_wrong_shape_is_refused_by_its_annotation():
    with pytest.raises(Exception, match="B T D"):
        system()(torch.zeros(4, 3, dtype=torch.float64))
