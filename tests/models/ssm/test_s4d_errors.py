"""What S4D refuses, with the value and what is allowed."""

import re

import pytest
import torch
from systems import system

from lib.models.ssm.s4d import hippo_legs


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"init": "hippo"}, "init = 'hippo': one of lin, inv, legs, real"),
        ({"rule": "euler"}, "discretisation = 'euler': one of zoh, bilinear"),
        ({"states": 7}, "states = 7: init 'lin' holds conjugate pairs, an even number"),
        ({"states": 0}, "states = 0: an integer of at least 1"),
        ({"dim": 0}, "dim = 0: an integer of at least 1"),
        ({"dt_min": 0.2}, "dt_max = 0.1: at least 0.2 is needed, which is dt_min"),
        ({"dt_min": 0.0}, "dt_min = 0.0: more than 0 is needed"),
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
        model.step(torch.zeros(2, 4, dtype=torch.float64), system(dim=4).initial_state(2))


def test_a_wrong_state_is_refused_with_both_shapes():
    x, state = torch.zeros(2, 5, 3, dtype=torch.float64), torch.zeros(2, 3, 8, dtype=torch.complex128)
    for call in (lambda: system().recurrent(x, state), lambda: system().step(x[:, 0], state)):
        with pytest.raises(ValueError, match=re.escape("state of shape (2, 3, 8): (2, 3, 4) is needed")):
            call()


def test_an_input_of_another_precision_is_refused():
    with pytest.raises(ValueError, match=r"input of torch.float32: torch.float64 is needed"):
        system()(torch.zeros(1, 4, 3))


@pytest.mark.parametrize("call", [lambda: system().kernel(0), lambda: hippo_legs(0)])
def test_an_empty_kernel_or_matrix_is_refused(call):
    with pytest.raises(ValueError, match=r"(length|states) = 0: an integer of at least 1"):
        call()


def test_a_wrong_shape_is_refused_by_its_annotation():
    with pytest.raises(Exception, match="B T D"):
        system()(torch.zeros(4, 3, dtype=torch.float64))
