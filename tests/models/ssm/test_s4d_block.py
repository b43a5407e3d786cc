"""S4D as a mixer: it streams, sees no future, and stands in a classifier as Mamba's block does."""

import pytest
import torch
from mrss_mixers import sequence, streamed
from refusals import refused
from systems import INITS
from torch.nn import functional as F
from torch.testing import assert_close

from lib.models.ssm.mamba import MambaClassifier, MambaConfig
from lib.models.ssm.residual import Residual
from lib.models.ssm.s4d_block import S4DBlock


def block(dim=6, seed=0, **options):
    return S4DBlock(dim, generator=torch.Generator().manual_seed(seed), **{"states": 8} | options).double()


@pytest.mark.parametrize("rule", ["zoh", "bilinear"])
@pytest.mark.parametrize("init", INITS)
def test_steps_equal_the_whole_sequence(init, rule):
    model, x = block(init=init, discretisation=rule), sequence(40, 6, seed=1)
    assert_close(streamed(model, x), model(x))


def test_a_block_is_a_gated_gelu_of_its_s4d():
    model, x = block(), sequence(10, 6, seed=1)
    halves = zip(model.out_proj.weight.chunk(2), model.out_proj.bias.chunk(2), strict=True)
    values, gates = (F.gelu(model.s4d(x)) @ weight.T + bias for weight, bias in halves)
    assert_close(model(x), values * gates.sigmoid())


def test_no_output_depends_on_a_later_input():
    model, x = block(), sequence(20, 6, seed=1)
    later = x.clone()
    later[:, 12:] += 1
    assert_close(model(later)[:, :12], model(x)[:, :12])
    assert not torch.isclose(model(later)[:, 12], model(x)[:, 12]).any()


def test_residual_blocks_stream(generator):
    model, x = Residual(6, [block(seed=seed) for seed in range(3)]).double(), sequence(25, 6, seed=1)
    assert_close(streamed(model, x), model(x))


def test_a_classifier_of_s4d_blocks_streams_and_learns(generator):
    mixers = [block(seed=seed) for seed in range(2)]
    model = MambaClassifier(MambaConfig(dim=6, layers=2), 3, 5, pooling="none", mixers=mixers, generator=generator)
    model, x = model.double(), sequence(25, 3, seed=1)
    assert_close(streamed(model, x), model(x))
    model(x).square().sum().backward()
    assert all(weight.grad.isfinite().all() and weight.grad.any() for weight in model.parameters())


def test_the_state_given_is_left_as_it_is():
    model, x = block(), sequence(2, 6, seed=1)
    _, state = model.step(x[:, 0], model.initial_state(2))
    kept = state.clone()
    model.step(x[:, 1], state)
    assert torch.equal(state, kept)


@pytest.mark.parametrize(
    ("init", "dtype", "wanted"),
    [
        ("lin", None, torch.complex128),
        ("real", None, torch.float64),
        ("lin", torch.float32, torch.complex64),
        ("real", torch.float32, torch.float32),
        ("lin", torch.bfloat16, torch.complex64),
        ("real", torch.bfloat16, torch.float32),
    ],
)
def test_the_state_has_the_dtype_asked_for(init, dtype, wanted):
    assert block(init=init).initial_state(2, "cpu", dtype).dtype == wanted


def test_the_seed_decides_the_weights():
    assert all(torch.equal(*pair) for pair in zip(block().parameters(), block().parameters(), strict=True))
    assert not torch.equal(block().out_proj.weight, block(seed=1).out_proj.weight)


def test_inputs_and_states_that_do_not_fit_are_quoted():
    model = block()
    with refused("input of shape (2, 5, 4): (B, T, 6) with B >= 1 and T >= 1 is needed"):
        model(torch.zeros(2, 5, 4))
    with refused("input of shape (2, 4): (B, 6) with B >= 1 is needed"):
        model.step(torch.zeros(2, 4), model.initial_state(2))
    with refused("state of shape (3, 6, 4): (2, 6, 4) is needed"):
        model.step(torch.zeros(2, 6).double(), model.initial_state(3))
