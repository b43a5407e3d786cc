"""Mamba token after token and chunk after chunk equals the whole sequence."""

import copy

import pytest
import torch
from precision import PRECISIONS, assert_within
from seeded_mambas import seeded, tokens
from torch.testing import assert_close

from lib.models.ssm.mamba import MambaBackbone, MambaLM


def assert_whole(model, x, found, state):
    """Logits and the state after them are those of the whole sequence, in double precision."""
    tolerance = PRECISIONS[found.dtype]
    whole, after = copy.deepcopy(model).double()(x, return_state=True)
    assert_within(found, whole, tolerance)
    for layer, exact in zip(state, after, strict=True):
        for part, wanted in zip(layer, exact, strict=True):
            if wanted.numel():  # a convolution of one tap carries nothing
                assert_within(part, wanted, tolerance)


@pytest.mark.parametrize("dtype", PRECISIONS)
@pytest.mark.parametrize("kernel", [1, 2, 4])
def test_steps_equal_the_whole_sequence(kernel, dtype, generator):
    model, x = seeded(MambaLM, kernel=kernel).to(dtype), tokens(generator)
    state, outputs = model.initial_state(2), []
    for t in range(x.shape[1]):
        logits, state = model.step(x[:, t], state)
        outputs.append(logits)
    assert_whole(model, x, torch.stack(outputs, dim=1), state)


@pytest.mark.parametrize("dtype", PRECISIONS)
@pytest.mark.parametrize("kernel", [1, 4])
@pytest.mark.parametrize("lengths", [(5, 4), (1, 8), (8, 1), (2, 2, 2, 3), (1,) * 9])
def test_chunks_equal_the_whole_sequence(kernel, lengths, dtype, generator):
    model, x = seeded(MambaLM, kernel=kernel).to(dtype), tokens(generator)
    state, outputs = None, []
    for chunk in x.split(lengths, dim=1):
        logits, state = model(chunk, state, return_state=True)
        outputs.append(logits)
    assert_whole(model, x, torch.cat(outputs, dim=1), state)


def test_gradients_reach_back_through_the_state(generator):
    model = seeded(MambaBackbone, vocabulary=None).double()
    x = torch.randn(2, 9, 6, generator=generator, dtype=torch.float64, requires_grad=True)
    first, state = model(x[:, :5], return_state=True)
    loss = first.square().sum() + model(x[:, 5:], state).square().sum()
    inputs = [x, *model.parameters()]
    expected = torch.autograd.grad(model(x).square().sum(), inputs)
    assert_close(torch.autograd.grad(loss, inputs), expected)


def test_a_step_and_a_chunk_leave_the_state_they_start_from(generator):
    model, x = seeded(MambaLM), tokens(generator)
    _, state = model(x, return_state=True)
    kept = [tensor.clone() for layer in state for tensor in layer]
    model.step(x[:, 0], state)
    model(x, state)
    assert all(torch.equal(a, b) for a, b in zip(kept, (tensor for layer in state for tensor in layer), strict=True))


def test_the_initial_state_is_that_of_no_tokens(generator):
    model, x = seeded(MambaLM), tokens(generator)
    assert torch.equal(model(x, model.initial_state(2)), model(x))
    half = model.initial_state(3, dtype=torch.bfloat16)[0]
    assert (half.convolution.shape, half.convolution.dtype) == ((3, 3, 12), torch.bfloat16)
    assert (half.scan.shape, half.scan.dtype) == ((3, 12, 3), torch.float32)
