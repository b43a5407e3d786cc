"""S4D's convolution against its recurrence: the same outputs, the same gradients, and every weight learns in both."""

import pytest
import torch
from precision import assert_within
from recurrences import assert_rounded, in_modes, transform
from systems import every_system, sequence, system, without_skip
from torch.testing import assert_close

LENGTHS = pytest.mark.parametrize("length", [1, 2, 17, 256, 1024])


@LENGTHS
@every_system
def test_the_convolution_is_the_recurrence(init, rule, length, generator):
    model = without_skip(system(init, rule, states=64))
    x = sequence(generator, length)
    with torch.no_grad():
        assert_within(model(x), model.recurrent(x)[0], 1e-10)


@LENGTHS
@every_system
def test_in_single_precision_both_views_are_one_system_up_to_rounding(init, rule, length, generator):
    model = without_skip(system(init, rule, states=64, dtype=torch.float32))
    x = sequence(generator, length, dtype=torch.float32)
    wanted = in_modes(model, x)
    with torch.no_grad():
        assert_rounded(model.recurrent(x)[0], wanted.out, wanted.out_noise)
        assert_rounded(model(x), wanted.out, wanted.out_noise, transform(model, x))


@pytest.mark.slow
@every_system
def test_the_views_do_not_drift_apart_where_decay_is_slowest(init, rule, generator):
    model = without_skip(system(init, rule, states=64, dtype=torch.float32, dt_min=1e-3, dt_max=1e-3))
    x = sequence(generator, 4096, batch=1, dtype=torch.float32)
    wanted = in_modes(model, x)
    with torch.no_grad():
        for view in (model, lambda x: model.recurrent(x)[0]):
            assert_rounded(view(x), wanted.out, wanted.out_noise)
        if init != "real":  # a decay that is rounded once more turns another angle at every lag
            with pytest.raises(AssertionError, match="times the error that rounding makes"):
                assert_rounded(model.double()(x.double()), wanted.out, wanted.out_noise)


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
    x = sequence(generator, 20).requires_grad_()
    weight = sequence(generator, 20)
    wanted = [x, *model.parameters()]
    convolved = torch.autograd.grad((weight * model(x)).sum(), wanted)
    recurred = torch.autograd.grad((weight * model.recurrent(x)[0]).sum(), wanted)
    for one, other in zip(convolved, recurred, strict=True):
        assert_within(one, other, 1e-10)


@pytest.mark.parametrize("view", ["convolution", "recurrence"])
@every_system
def test_every_weight_learns(init, rule, view, generator):
    model = system(init, rule, dtype=torch.float32)
    x = sequence(generator, 64, batch=1, dtype=torch.float32)
    y = model(x) if view == "convolution" else model.recurrent(x)[0]
    y.square().sum().backward()
    assert all(weight.grad.isfinite().all() for weight in model.parameters())
    # S4D-Lin's first eigenvalue is real, so the imaginary part of its C does not reach the output yet.
    silent = {name: int((weight.grad == 0).sum()) for name, weight in model.named_parameters()}
    assert {name: count for name, count in silent.items() if count} == ({"C": 3} if init == "lin" else {})
