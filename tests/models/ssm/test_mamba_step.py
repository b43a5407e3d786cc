"""Mamba token after token and chunk after chunk equals the whole sequence."""

import pytest
import torch
from seeded_mambas import seeded, tokens
from torch.testing import assert_close

from lib.models.ssm.mamba import MambaBackbone, MambaLM


@pytest.mark.parametrize("kernel", [1, 2, 4])
def test_steps_equal_the_whole_sequence(kernel, generator):
    model, x = seeded(MambaLM, kernel=kernel), tokens(generator)
    state, outputs = model.initial_state(2), []
    for t in range(x.shape[1]):
        logits, state = model.step(x[:, t], state)
        outputs.append(logits)
    whole, after = model(x, return_state=True)
    assert_close(torch.stack(outputs, dim=1), whole, rtol=1e-5, atol=1e-6)
    assert_close(state, after, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kernel", [1, 4])
@pytest.mark.parametrize("lengths", [(5, 4), (1, 8), (8, 1), (2, 2, 2, 3), (1,) * 9])
def test_chunks_equal_the_whole_sequence(kernel, lengths, generator):
    model, x = seeded(MambaLM, kernel=kernel), tokens(generator)
    state, outputs = None, []
    for chunk in x.split(lengths, dim=1):
        logits, state = model(chunk, state, return_state=True)
        outputs.append(logits)
    whole, after = model(x, return_state=True)
    assert_close(torch.cat(outputs, dim=1), whole, rtol=1e-5, atol=1e-6)
    assert_close(state, after, rtol=1e-5, atol=1e-6)


def test_gradients_reach_back_through_the_state(generator):
    model, x = seeded(MambaBackbone, vocabulary=None), torch.randn(2, 9, 6, generator=generator, requires_grad=True)
    first, state = model(x[:, :5], return_state=True)
    loss = first.square().sum() + model(x[:, 5:], state).square().sum()
    inputs = [x, *model.parameters()]
    expected = torch.autograd.grad(model(x).square().sum(), inputs)
    assert_close(torch.autograd.grad(loss, inputs), expected, rtol=1e-4, atol=1e-5)


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
