"""A bank of modes: the same system as an S4D, in all of its views, stable whatever its weights, and nothing else."""

import pytest
import torch
from precision import assert_within
from recurrences import assert_rounded, in_modes, transform
from refusals import refused
from systems import INITS, every_system, sequence, system
from torch.testing import assert_close

from lib.models.distill.modes import Modes

DTYPES = (torch.float32, torch.float64)


def bank(generator, count=5, dtype=torch.float64, least=1e-3):
    """Three channels of modes that decay at rates from `least` to one."""
    rate = least ** torch.rand(3, count, dtype=torch.float64, generator=generator)
    angle = 3 * torch.randn(3, count, dtype=torch.float64, generator=generator)
    weight = torch.randn(3, count, 2, dtype=torch.float64, generator=generator)
    skip = torch.randn(3, dtype=torch.float64, generator=generator)
    return Modes(torch.polar(torch.exp(-rate), angle), torch.view_as_complex(weight), skip.to(dtype))


# The last of 1,000 powers of a decay is off by as many roundings of it, of 2^-24 and 2^-53.
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1000 * 2**-24), (torch.float64, 10 * 1000 * 2**-53)])
@every_system
def test_the_modes_of_a_layer_are_the_same_system(init, rule, dtype, tolerance, generator):
    layer = system(init, rule, states=64, dtype=dtype)
    model, x = Modes.of(layer), sequence(generator, 1000, dtype=dtype)
    with torch.no_grad():
        assert_within(model.kernel(1000), layer.kernel(1000), tolerance)
        assert_within(model(x), layer(x), tolerance)
        assert_within(model.recurrent(x[:, :100])[0], layer.recurrent(x[:, :100])[0], tolerance)


def test_a_kernel_is_the_written_out_sum(generator):
    model = bank(generator)
    decay, weight = model.decay(), torch.view_as_complex(model.C)
    expected = torch.stack([(weight * decay**lag).sum(1).real for lag in range(50)], dim=1)
    assert_close(model.kernel(50), expected)


@pytest.mark.parametrize("dtype", DTYPES)
def test_convolution_recurrence_and_steps_agree(dtype, generator):
    model, x = bank(generator, dtype=dtype), sequence(generator, 300, dtype=dtype)
    with torch.no_grad():
        convolved, (recurred, last) = model(x), model.recurrent(x)
        state, outputs = model.initial_state(2), []
        for token in x.unbind(1):
            y, state = model.step(token, state)
            outputs.append(y)
    stepped, wanted = torch.stack(outputs, dim=1), in_modes(model, x)
    if dtype == torch.float32:
        assert_rounded(convolved, wanted.out, wanted.out_noise, transform(model, x))
        for out, end in ((recurred, last), (stepped, state)):
            assert_rounded(out, wanted.out, wanted.out_noise)
            assert_rounded(end, wanted.last, wanted.last_noise)
    else:
        for out in (convolved, recurred, stepped):
            assert_within(out, wanted.out, 1e-12)
        for end in (last, state):
            assert_within(end, wanted.last, 1e-12)


def test_a_carried_state_continues_the_sequence(generator):
    model, x = bank(generator), sequence(generator, 90)
    head, state = model.recurrent(x[:, :31])
    tail, _ = model.recurrent(x[:, 31:], state)
    assert_within(torch.cat([head, tail], dim=1), model(x), 1e-12)


def test_both_views_have_the_same_gradients(generator):
    model, x = bank(generator), sequence(generator, 70).requires_grad_()
    wanted, weight = [x, *model.parameters()], sequence(generator, 70)
    convolved = torch.autograd.grad((weight * model(x)).sum(), wanted)
    recurred = torch.autograd.grad((weight * model.recurrent(x)[0]).sum(), wanted)
    for one, other in zip(convolved, recurred, strict=True):
        assert_within(one, other, 1e-10)


def test_every_weight_learns(generator):
    model = bank(generator, dtype=torch.float32)
    model(sequence(generator, 64, dtype=torch.float32)).square().sum().backward()
    assert all((weight.grad != 0).all() for weight in model.parameters())


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("extreme", [-1000.0, -40.0, -10.0, 0.0, 10.0, 1000.0])
def test_no_weight_makes_a_system_unstable(extreme, dtype, generator):
    model = bank(generator, dtype=dtype)
    with torch.no_grad():
        model.log_rate.fill_(extreme)
    assert (model.decay().abs() < 1).all()
    kernel = model.kernel(4096)
    assert (kernel.abs() <= 1.001 * torch.view_as_complex(model.C).abs().sum(1, keepdim=True)).all()
    kernel.square().sum().backward()
    assert all(weight.grad.isfinite().all() for weight in (model.log_rate, model.angle, model.C))


def test_a_decay_of_zero_is_over_after_one_token():
    model = Modes(torch.zeros(1, 1) + 0j, torch.full((1, 1), 2 + 0j), torch.zeros(1))
    assert model.kernel(5)[0].tolist() == pytest.approx([2, 0, 0, 0, 0], abs=1e-30)


@pytest.mark.parametrize("init", INITS)
def test_padding_changes_nothing(init):
    model = Modes.of(system(init))
    decay, weight = (
        torch.nn.functional.pad(x.detach(), (0, 3)) for x in (model.decay(), torch.view_as_complex(model.C))
    )
    assert_close(Modes(decay, weight, model.skip).kernel(40), model.kernel(40))


def test_double_precision_reaches_the_state(generator):
    assert bank(generator, dtype=torch.float32).initial_state(2).dtype == torch.complex64
    assert bank(generator, dtype=torch.float32).double().initial_state(2).dtype == torch.complex128


@pytest.mark.parametrize("name", ["decay", "weight", "skip"])
@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_what_is_not_finite_is_refused(name, value):
    given = {"decay": torch.zeros(2, 3) + 0j, "weight": torch.zeros(2, 3) + 0j, "skip": torch.zeros(2)}
    given[name].view(-1)[1] = value
    with refused(f"{name}: all of its values must be finite"):
        Modes(**given)


@pytest.mark.parametrize("decay", [1.0, 1j, -1.5])
def test_a_decay_of_one_or_more_is_refused(decay):
    with refused(f"|decay| = {abs(decay)}: less than 1 is needed"):
        Modes(torch.full((1, 1), decay + 0j), torch.zeros(1, 1) + 0j, torch.zeros(1))


@pytest.mark.parametrize(
    ("decay", "weight", "skip", "message"),
    [
        ((2, 0), (2, 0), (2,), "decay of shape (2, 0): (D, M) with D >= 1 and M >= 1 is needed"),
        ((2, 3), (2, 4), (2,), "weight of shape (2, 4): (2, 3) is needed"),
        ((2, 3), (2, 3), (3,), "skip of shape (3,): (2,) is needed"),
    ],
)
def test_sizes_that_do_not_fit_are_quoted(decay, weight, skip, message):
    with refused(message):
        Modes(torch.zeros(decay) + 0j, torch.zeros(weight) + 0j, torch.zeros(skip))


@pytest.mark.parametrize("shape", [(2, 5, 4), (2, 0, 3), (0, 5, 3), (5, 3)])
def test_inputs_that_do_not_fit_are_quoted(shape, generator):
    model = bank(generator)
    for view in (model, model.recurrent):
        with refused(f"input of shape {shape}: (B, T, 3) with B >= 1 and T >= 1 is needed"):
            view(torch.zeros(shape))


def test_states_tokens_lengths_and_precisions_that_do_not_fit_are_quoted(generator):
    model, x = bank(generator), sequence(generator, 4)
    with refused("state of shape (1, 3, 5): (2, 3, 5) is needed"):
        model.recurrent(x, model.initial_state(1))
    with refused("state of shape (1, 3, 5): (2, 3, 5) is needed"):
        model.step(x[:, 0], model.initial_state(1))
    with refused("input of torch.float32: torch.float64 is needed, as in the parameters"):
        model(x.float())
    with refused("state of torch.complex64: torch.complex128 is needed, as in the parameters"):
        model.recurrent(x, model.initial_state(2).to(torch.complex64))
    with refused("length = 0: an integer of at least 1 is needed"):
        model.kernel(0)
