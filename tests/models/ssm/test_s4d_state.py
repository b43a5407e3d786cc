"""S4D's state: what a step makes of it, what it carries over a cut, its size and its precision."""

import torch
from precision import assert_within
from systems import INITS, every_system, sequence, system
from torch.testing import assert_close


@every_system
def test_step_after_step_is_the_recurrence(init, rule, generator):
    model = system(init, rule)
    x = sequence(generator, 9)
    state, outputs = model.initial_state(2), []
    for token in x.unbind(1):
        y, state = model.step(token, state)
        outputs.append(y)
    expected, last = model.recurrent(x)
    assert_close(torch.stack(outputs, dim=1), expected)
    assert_close(state, last)


@every_system
def test_a_carried_state_continues_the_sequence(init, rule, generator):
    model = system(init, rule)
    x = sequence(generator, 30)
    head, state = model.recurrent(x[:, :11])
    tail, _ = model.recurrent(x[:, 11:], state)
    assert_within(torch.cat([head, tail], dim=1), model(x), 1e-10)


def test_double_precision_reaches_the_state():
    assert system(dtype=torch.float32).initial_state(2).dtype == torch.complex64
    assert system(dtype=torch.float64).initial_state(2).dtype == torch.complex128
    assert system("real", dtype=torch.float32).initial_state(2).dtype == torch.float32


def test_a_state_holds_as_many_real_numbers_for_every_init():
    states = {init: system(init).initial_state(2) for init in INITS}
    sizes = {init: state.numel() * (2 if state.is_complex() else 1) for init, state in states.items()}
    assert sizes == dict.fromkeys(INITS, 2 * 3 * 8)
