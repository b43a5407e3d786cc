"""What is deployed answers as the bank of modes that it was made of."""

import pytest
import torch
from banks import layer
from recurrences import assert_rounded, in_modes
from refusals import refused
from torch.testing import assert_close

from lib.models.distill.modes import Modes
from lib.models.distill.recurrence import Recurrence


def bank(dtype=torch.float32):
    return Modes.of(layer(dim=5, states=6, dtype=dtype))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_sequences_and_tokens_come_out_as_from_the_modes(dtype, generator):
    modes, x = bank(dtype), torch.randn(2, 70, 5, generator=generator, dtype=dtype)
    deployed = Recurrence(modes)
    state, outputs = deployed.initial_state(2), []
    for token in x.unbind(1):
        y, state = deployed.step(token, state)
        outputs.append(y)
    wanted = in_modes(modes, x)
    for out in (deployed(x), torch.stack(outputs, dim=1)):
        if dtype == torch.float32:
            assert_rounded(out, wanted.out, wanted.out_noise)
        else:
            assert_close(out, wanted.out)


def test_nothing_is_learned(generator):
    deployed = Recurrence(bank())
    assert list(deployed.parameters()) == []
    assert not deployed(torch.randn(1, 4, 5, generator=generator)).requires_grad


@pytest.mark.parametrize(
    ("x", "state", "message"),
    [
        (torch.float64, torch.complex64, "input of torch.float64: torch.float32 is needed"),
        (torch.float32, torch.complex128, "state of torch.complex128: torch.complex64 is needed"),
        (torch.float32, torch.float32, "state of torch.float32: torch.complex64 is needed"),
    ],
)
def test_another_precision_never_reaches_the_compiled_loop(x, state, message):
    with refused(message):
        Recurrence(bank()).recurrent(torch.zeros(1, 4, 5, dtype=x), torch.zeros(1, 5, 3, dtype=state))


def test_what_is_no_bank_of_modes_is_named():
    with refused("bank is of type S4D: a Modes is needed", TypeError):
        Recurrence(layer(dim=5, states=6))
    with refused("state is of type NoneType: a tensor is needed", TypeError):
        Recurrence(bank()).step(torch.zeros(1, 5), None)


@pytest.mark.parametrize(
    ("shape", "state", "message"),
    [
        ((1, 4), (1, 5, 3), "input of shape (1, 4)"),
        ((1, 5), (1, 5, 2), "state of shape (1, 5, 2)"),
        ((1, 5), (2, 5, 3), "state of shape (2, 5, 3)"),
        ((0, 5), (0, 5, 3), "input of shape (0, 5): (B, 5) with B >= 1 is needed"),
    ],
)
def test_what_does_not_fit_is_quoted(shape, state, message):
    with refused(message):
        Recurrence(bank()).step(torch.zeros(shape), torch.zeros(state, dtype=torch.complex64))


def test_another_device_is_named():
    with refused("input on meta: cpu is needed, where the parameters are"):
        Recurrence(bank())(torch.zeros(1, 4, 5, device="meta"))


def test_a_token_that_lies_apart_comes_out_alike(generator):
    deployed, x = Recurrence(bank()), torch.randn(2, 10, generator=generator)
    state = deployed.initial_state(2)
    found = deployed.step(x[:, ::2], state)
    assert_close(found, deployed.step(x[:, ::2].contiguous(), state))
