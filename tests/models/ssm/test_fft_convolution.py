"""Long convolutions with a cached spectrum and with a tape of inputs, against the written-out sum."""

import pytest
import torch
from precision import SINGLE, assert_within
from refusals import refused
from torch.testing import assert_close

from lib.models.ssm.fft_convolution import CachedConvolution, CachedLowRank, causal_convolution
from lib.models.ssm.s4d import S4D


def direct(x, kernel, skip):
    """Lag after lag."""
    out = skip * x
    for lag in range(min(kernel.shape[1], x.shape[1])):
        out[:, lag:] += kernel[:, lag] * x[:, : x.shape[1] - lag]
    return out


def normal(generator, *shape):
    return torch.randn(shape, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("length", [1, 2, 7, 40])
@pytest.mark.parametrize("taps", [1, 2, 13, 40, 55])
def test_a_cached_convolution_and_its_steps_are_the_written_out_sum(taps, length, generator):
    kernel, skip, x = normal(generator, 5, taps), normal(generator, 5), normal(generator, 2, length, 5)
    model = CachedConvolution(kernel, 40, skip)
    expected = direct(x, kernel, skip)
    assert_close(model(x), expected)
    state, outputs = model.initial_state(2), []
    for token in x.unbind(1):
        y, state = model.step(token, state)
        outputs.append(y)
    assert_close(torch.stack(outputs, dim=1), expected)


def test_steps_go_on_after_the_tape_is_full(generator):
    kernel, x = normal(generator, 3, 4), normal(generator, 2, 30, 3)
    model, outputs = CachedConvolution(kernel, 30), []
    state = model.initial_state(2)
    for token in x.unbind(1):
        y, state = model.step(token, state)
        outputs.append(y)
    assert_close(torch.stack(outputs, dim=1), causal_convolution(x, kernel))


def test_a_layer_and_its_cached_kernel_give_the_same(generator):
    layer = S4D(6, 16, generator=generator).double()
    x = normal(generator, 2, 50, 6)
    model = CachedConvolution(layer.kernel(50), 50, layer.skip)
    assert_close(model(x), layer(x))
    assert not model(x).requires_grad


@pytest.mark.parametrize("length", [1, 7, 40])
@pytest.mark.parametrize("taps", [1, 13, 40, 55])
@pytest.mark.parametrize("rank", [1, 3])
def test_a_cached_low_rank_is_the_written_out_sum(rank, taps, length, generator):
    left, right, skip = normal(generator, taps, rank), normal(generator, rank, 5), normal(generator, 5)
    x = normal(generator, 2, length, 5)
    model = CachedLowRank(left, right, 40, skip)
    assert_close(model(x), direct(x, (left @ right).T, skip))
    assert sum(value.numel() for value in model.state_dict().values()) == 2 * rank * model.spectrum.shape[1] + 5 * (
        rank + 1
    )
    single = model.float()
    assert single(x.float()).dtype == torch.float32


@pytest.mark.parametrize(
    ("shapes", "length", "message"),
    [
        (((4, 2), (3, 5), (5,)), 8, "right of shape (3, 5): (2, D)"),
        (((4, 2), (2, 5), (6,)), 8, "skip of shape (6,): (5,) is needed"),
        (((4, 2), (2, 5), (5,)), 0, "length = 0: an integer of at least 1 is needed"),
    ],
)
def test_a_low_rank_that_does_not_fit_is_refused(shapes, length, message, generator):
    left, right, skip = (normal(generator, *shape) for shape in shapes)
    with refused(message):
        CachedLowRank(left, right, length, skip)


@pytest.mark.parametrize("name", ["left", "right", "skip"])
def test_a_low_rank_that_is_not_finite_is_named(name, generator):
    parts = {"left": normal(generator, 4, 2), "right": normal(generator, 2, 5), "skip": normal(generator, 5)}
    parts[name].view(-1)[0] = torch.nan
    with pytest.raises(ValueError, match=f"{name}: all of its values must be finite"):
        CachedLowRank(**parts, length=8)


def test_more_tokens_than_planned_are_refused(generator):
    model = CachedLowRank(normal(generator, 4, 2), normal(generator, 2, 5), 8, normal(generator, 5))
    with pytest.raises(ValueError, match="input of 9 tokens: at most length = 8 are possible"):
        model(normal(generator, 1, 9, 5))


def test_a_change_of_precision_reaches_everything(generator):
    x = normal(generator, 2, 20, 3)
    model = CachedConvolution(normal(generator, 3, 20), 20)
    expected = model(x)
    single = model.float()
    assert single(x.float()).dtype == single.initial_state(1).inputs.dtype == torch.float32
    assert_within(single(x.float()), expected, SINGLE)


@pytest.mark.parametrize(
    ("kernel", "length", "skip", "message"),
    [
        ((3, 0), 5, None, "kernel of shape (3, 0): (D, K) with D >= 1 and K >= 1 is needed"),
        ((3,), 5, None, "kernel of shape (3,): (D, K) with D >= 1 and K >= 1 is needed"),
        ((3, 4), 0, None, "length = 0: an integer of at least 1 is needed"),
        ((3, 4), 5, (4,), "skip of shape (4,): (3,) is needed"),
    ],
)
def test_sizes_that_do_not_fit_are_quoted(kernel, length, skip, message):
    with refused(message):
        CachedConvolution(torch.zeros(kernel), length, None if skip is None else torch.zeros(skip))


def test_a_kernel_that_is_not_finite_is_refused():
    with refused("kernel: all of its values must be finite"):
        CachedConvolution(torch.tensor([[1.0, torch.inf]]), 4)


def test_inputs_that_do_not_fit_are_quoted():
    model = CachedConvolution(torch.zeros(3, 4), 5)
    with refused("input of 6 tokens: at most length = 5 are possible"):
        model(torch.zeros(1, 6, 3))
    with refused("input of shape (1, 5, 2): (B, T, 3) with B >= 1 and T >= 1 is needed"):
        model(torch.zeros(1, 5, 2))
    with refused("input of shape (1, 2): (B, 3) with B >= 1 is needed"):
        model.step(torch.zeros(1, 2), model.initial_state(1))
    with refused("state of shape (2, 3, 4): (1, 3, 4) is needed"):
        model.step(torch.zeros(1, 3), model.initial_state(2))


def test_no_step_copies_the_inputs_but_one_with_a_full_tape_or_on_another_path(generator):
    model, x = CachedConvolution(normal(generator, 3, 4), 30), normal(generator, 1, 9, 3)
    states = [model.initial_state(1)]
    for token in x.unbind(1):
        states.append(model.step(token, states[-1])[1])
    assert [id(state.tape) for state in states[:5]] == [id(states[0].tape)] * 5  # four inputs fit behind the zeros
    assert states[5].tape is not states[0].tape
    assert model.step(x[:, 0], states[2])[1].tape is not states[2].tape


def test_gradients_pass_through_steps(generator):
    model, x = CachedConvolution(normal(generator, 3, 4), 9), normal(generator, 2, 9, 3).requires_grad_()
    state, outputs = model.initial_state(2), []
    for token in x.unbind(1):
        y, state = model.step(token, state)
        outputs.append(y)
    weight = normal(generator, 2, 9, 3)
    (found,) = torch.autograd.grad((torch.stack(outputs, dim=1) * weight).sum(), x)
    assert_close(found, torch.autograd.grad((model(x) * weight).sum(), x)[0])
