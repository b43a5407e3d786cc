"""What Mamba refuses to go on from: the state of other sequences, of another model, or of another kind."""

import pytest
import torch
from refusals import refused
from seeded_mambas import seeded, tokens

from lib.models.ssm.mamba import MambaBackbone, MambaBlock, MambaLM, MambaState

WRONG = {
    "batch": (3, {}, "state.convolution of shape (3, 3, 12): (2, 3, 12) is needed"),
    "one sequence": (1, {}, "state.convolution of shape (1, 3, 12): (2, 3, 12) is needed"),
    "layers": (2, {"layers": 3}, "state of 3 blocks: one of 2 is needed"),
    "width": (2, {"dim": 8}, "state.convolution of shape (2, 3, 16): (2, 3, 12) is needed"),
    "taps": (2, {"kernel": 2}, "state.convolution of shape (2, 1, 12): (2, 3, 12) is needed"),
    "states": (2, {"states": 5}, "state.scan of shape (2, 12, 5): (2, 12, 3) is needed"),
}


@pytest.mark.parametrize(("batch", "options", "message"), WRONG.values(), ids=WRONG)
def test_a_state_that_does_not_fit_is_quoted(batch, options, message, generator):
    state, x = seeded(MambaLM, **options).initial_state(batch), tokens(generator)
    model = seeded(MambaLM)
    for call in (lambda: model(x, state), lambda: model.step(x[:, 0], state)):
        with refused(message):
            call()
    for call in (lambda: model.backbone(x, state), lambda: model.backbone.step(x[:, 0], state)):
        with refused(message):
            call()


@pytest.mark.parametrize("name", [name for name in WRONG if name != "layers"])
def test_a_block_quotes_a_state_that_does_not_fit(name):
    batch, options, message = WRONG[name]
    block, state = seeded(MambaBlock), seeded(MambaBlock, **options).initial_state(batch)
    for call in (lambda: block(torch.zeros(2, 5, 6), state), lambda: block.step(torch.zeros(2, 6), state)):
        with refused(message):
            call()


@pytest.mark.parametrize("shape", [(2, 1), (), (0,)])
def test_a_step_takes_one_token_per_sequence(shape):
    model, x = seeded(MambaLM), torch.zeros(shape, dtype=torch.int64)
    for step in (model.step, model.backbone.step):
        with refused(f"tokens of shape {shape}: (B,) with B >= 1 is needed"):
            step(x, model.initial_state(2))


@pytest.mark.parametrize("shape", [(2, 1, 6), (6,), (2, 5)])
def test_a_step_takes_one_row_of_numbers_per_sequence(shape):
    for kind in (MambaBlock, MambaBackbone):
        model = seeded(kind, vocabulary=None)
        with refused(f"input of shape {shape}: (B, 6) with B >= 1 is needed"):
            model.step(torch.zeros(shape), model.initial_state(2))


def test_a_state_of_another_kind_is_refused_by_its_type(generator):
    model, x = seeded(MambaLM), tokens(generator)
    block, row = model.backbone.layers[0]["mixer"], torch.zeros(2, 6)
    with refused("state is of type NoneType: a tuple of one state per block is needed", TypeError):
        model.step(x[:, 0], None)
    with refused("state is of type Tensor: a tuple of one state per block is needed", TypeError):
        model(x, torch.zeros(2))
    with refused("state is of type Tensor: a MambaState is needed", TypeError):
        model(x, model.initial_state(2)[0])
    with refused("state is of type tuple: a MambaState is needed", TypeError):
        block.step(row, model.initial_state(2))
    with refused("state.scan is of type NoneType: a tensor is needed", TypeError):
        block.step(row, MambaState(block.initial_state(2).convolution, None))
    with refused("state of 0 blocks: one of 2 is needed"):
        model(x, ())
